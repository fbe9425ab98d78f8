"""`check`: every layer grows, is carried or is frozen, and says why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import NETWORKS, SIZE, Plain, Tied
from torch import Tensor, nn

import easearch as ea
from easearch.cli import main
from easearch.cli.growable import CARRIED, FROZEN, GROWS, growable, layer_rows

OWN = """
import torch
from torch import nn

def one():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

def two(width=6):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 4, 3))

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(9, 6), nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, ids, weights):
        return self.head(torch.relu(self.mix(self.table(ids) * weights.unsqueeze(-1))).mean(1))
"""
SEED = ["mobilenet_v1", "--set", "layout=[[8,1,1],[8,1,2]]"]


def graph_of(model: nn.Module) -> ea.Graph:
    return ea.trace(model, torch.zeros(1, 1, SIZE, SIZE))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine_for_check.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_say_what_the_graph_says(name: str) -> None:
    """The laws of a row, over every network that the laws know."""
    graph = graph_of(NETWORKS[name]())
    rows = layer_rows(graph)
    assert [row.name for row in rows] == [layer.name for layer in graph.layers]
    free = {group.name for group in graph.growable}
    writers = {layer for group in graph.growable for layer in group.writers}
    for row, layer in zip(rows, graph.layers, strict=True):
        assert (row.status == GROWS) == (row.name in writers)
        assert (row.status == FROZEN) == free.isdisjoint(layer.groups)
        shape = graph.shape(layer.name)
        assert row.in_channels in (shape.in_channels, None)
        assert row.out_channels == shape.out_channels
        told = set(row.why.replace(",", " ").replace(";", " ").split())
        if row.status == FROZEN:
            assert row.why in {group.frozen for group in graph.channel_groups}
        else:
            assert free & set(layer.groups) <= told
    told_of = growable(graph)
    assert told_of.groups == len(free) > 0
    assert told_of.channels == sum(graph.groups[group].width for group in free)
    assert told_of.of_params == ea.measure(graph, ["params"])["params"].total
    assert 0 < told_of.params <= told_of.of_params


def test_the_rows_of_a_small_network() -> None:
    rows = {row.name: row for row in layer_rows(graph_of(Plain()))}
    one, two, norm, head = (rows[name] for name in ("one", "two", "norm", "head"))
    assert (one.status, one.why) == (GROWS, "writes one")
    assert (two.status, two.why) == (GROWS, "writes two; reads one")
    assert (norm.status, norm.why) == (CARRIED, "follows two")
    assert (head.status, head.why) == (CARRIED, "reads hidden")
    assert (head.kind, head.in_channels, head.out_channels) == ("linear", 9, 5)
    first = next(iter(rows.values()))
    assert (first.status, first.in_channels) == (FROZEN, None)
    assert first.why == "its channels are the network's input"


class Odd(nn.Module):
    """A layer in the middle that nobody can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.cumsum(self.one(x), 1))


def test_what_cannot_be_followed_gives_its_reason() -> None:
    graph = graph_of(Odd())
    told = growable(graph)
    assert (told.groups, told.channels, told.params) == (0, 0, 0)
    assert (told.of_params, told.unused) == (sum(p.numel() for p in Odd().parameters()), 0)
    assert str(told) == "Nothing can grow: every channel group is frozen."
    rows = {row.name: row for row in layer_rows(graph)}
    assert all(row.status == FROZEN for row in rows.values())
    assert "cumsum" in rows["one"].why
    assert rows["one"].why == graph.groups["one"].frozen
    # its own channels decide, not those that it reads
    assert rows["two"].why == "its channels are the network's output"


def test_the_share_of_parameters() -> None:
    told = growable(graph_of(Tied()))
    sentence = str(told)
    assert f"{told.groups} of {told.of_groups} channel groups can grow" in sentence
    assert f"{100 * told.params / told.of_params:.1f}% of the parameters" in sentence
    assert "Not counted" not in sentence


def test_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *SEED, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"model", "input", "grows", "groups", "layers"}
    assert told["model"] == "mobilenet_v1" and told["input"] == [1, 28, 28]
    assert told["grows"] is True
    assert all(set(group) == {"name", "width", "frozen"} for group in told["groups"])
    keys = {"name", "kind", "in_channels", "out_channels", "status", "why"}
    assert all(set(layer) == keys for layer in told["layers"])
    assert {layer["status"] for layer in told["layers"]} == {GROWS, CARRIED, FROZEN}


def test_a_network_that_cannot_grow_ends_with_status_1(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "mine_for_check:one", "--input", "3x8x8"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "Nothing can grow: every channel group is frozen." in shown.out
    assert "its channels are the network's output" in shown.out
    assert shown.err == ""
    assert main([*words, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["grows"] is False
    assert len(told["layers"]) == 3
    words = ["check", "mine_for_check:two", "--input", "3x8x8", "--set", "width=9", "--json"]
    assert main(words) == 0
    widths = {one["name"]: one["width"] for one in json.loads(capsys.readouterr().out)["groups"]}
    assert widths["0"] == 9


@pytest.mark.parametrize("columns", [None, 200, 120, 80, 44, 20])
def test_the_table_at_any_width(
    columns: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["check", *SEED]) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert not any(ord(char) < 32 for line in lines for char in line)
    assert max(map(len, lines)) <= (columns or 80)  # a pipe has 80
    for words in ("stem.conv", "1 -> 32", "grows", "carried", "channel groups can grow"):
        assert words in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["mobilenet_v9"], 1, "did you mean 'mobilenet_v"),
        (["mine_for_check:two"], 2, "a factory says no input size"),
        (["mine_for_check:three", "--input", "3x8x8"], 1, "no attribute 'three'"),
        (["mine_for_check:two", "--input", "1x8x8"], 1, "the model does not run on a tensor"),
        (["mobilenet_v1", "--factory", "mine_for_check:two"], 1, "'mobilenet_v1' is none"),
        (["."], 1, "expected architecture.json in ."),
    ],
)
def test_what_users_get_wrong(
    words: list[str],
    status: int,
    said: str,
    own: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["check", *words]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err and "Traceback" not in shown.err


def test_a_saved_network_of_ones_own_needs_its_factory_named(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """check, measure and export: the same option, the same sentence."""
    from easearch.factories import find_factory

    two = find_factory("mine_for_check:two")
    ea.save(two(), "saved", sample=torch.zeros(1, 3, 8, 8), factory=two)
    del sys.modules["mine_for_check"]
    verbs: dict[str, list[Any]] = {
        "check": ["check", "saved"],
        "measure": ["measure", "saved", "--meters", "params"],
        "export": ["export", "saved", "--out", "net.onnx"],
    }
    for verb, words in verbs.items():
        assert main(words) == 1, verb
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "mine_for_check:two" in shown.err
        assert "--factory mine_for_check:two" in shown.err
        assert "mine_for_check" not in sys.modules, "nothing is imported unasked"
        assert main([*words, "--factory", "mine_for_check:two", "--json"]) == 0, verb
        json.loads(capsys.readouterr().out)
        del sys.modules["mine_for_check"]
    assert main(["check", "saved", "--factory", "mine_for_check:one"]) == 1
    assert "not of one network" in capsys.readouterr().err


def test_a_saved_network_gets_inputs_as_it_learned_from(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole numbers, and several tensors by name."""
    from easearch.factories import find_factory

    words = find_factory("mine_for_check:Words")
    sample = {"ids": torch.tensor([[0, 8, 3, 2]]), "weights": torch.ones(1, 4)}
    ea.save(words(), "saved", sample=sample, factory=words)
    named = ["saved", "--factory", "mine_for_check:Words", "--json"]
    assert main(["check", *named]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input"] == [4]
    assert main(["measure", *named, "--meters", "macs,params"]) == 0
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert costs["macs"]["total"] == 4 * 6 * 8 + 8 * 3
    assert costs["params"]["total"] == sum(p.numel() for p in words().parameters())

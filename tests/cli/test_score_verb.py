"""`easearch score`: a run, a stage of it, and a recipe's seed, for people and as one document."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import easearch as ea
from easearch.cli import main
from easearch.cli.worth import groups_of, kind
from easearch.moves import Candidate
from easearch.scoring import Scores

TINY = """
data: {name: fashion-mnist-mini, validation: 0.9, size: 14}
model:
  name: mobilenet_v1
  arguments: {layout: [[8, 1, 1], [8, 1, 2]], stem_channels: 8}
budget: {limits: {macs: 2x}}
growth: {criterion: unit, stages: [1.0], at: [0.5], images: 128, width_step: 4}
training: {epochs: 2, batch_size: 128}
threads: 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    (folder / "tiny.yaml").write_text(TINY)
    ea.grow(folder / "tiny.yaml", folder / "run")
    return folder / "run"


def document(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["score", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_is_scored_as_its_recipe_says(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = document([str(run)], capsys)
    assert (told["criterion"], told["options"], told["images"]) == ("unit", {}, 128)
    assert told["trained"] is True
    assert told["held_out"] is not None and told["rank_correlation"] is not None
    gains = [one["gain"] for one in told["candidates"]]
    assert gains == sorted(gains, reverse=True)
    widths = json.loads((run / "run.json").read_text())["widths"]
    groups = {row["name"]: row for row in told["groups"]}
    assert {name: row["width"] for name, row in groups.items()} | {
        name: widths[name] for name in told["frozen"]
    } == widths
    for name, row in groups.items():
        own = [c["gain"] for c in told["candidates"] if c["group"] == name]
        assert len(own) == row["width"]  # a split in two of every channel
        assert row["best"] == max(own)
        assert row["quarter"] == pytest.approx(sum(own[: math.ceil(len(own) / 4)]))
        assert row["stable"] == sum(gain == 0 for gain in own)
    assert document([str(run)], capsys)["candidates"] == told["candidates"]


def test_options_of_the_command_line_reach_the_criterion(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run), "--criterion", "unit-signed", "--images", "auto"]
    told = document([*words, "--set", "growth.criterion.c=2"], capsys)
    assert (told["criterion"], told["options"]) == ("unit-signed", {"c": 2.0})
    assert told["asked_images"] == "auto" and told["images"] == 500  # half of what is trained on
    assert any(one["move"].startswith("signed split in") for one in told["candidates"])
    layers = document([str(run), "--criterion", "firefly", "--set", "growth.layers=1"], capsys)
    assert layers["layers"] and all(one["move"].startswith("new ") for one in layers["layers"])


def test_a_stage_is_scored_on_its_runs_data(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = document([str(run / "stage-0")], capsys)
    seed = {row["name"]: row["width"] for row in told["groups"]}
    assert set(seed.values()) == {8}
    assert told["trained"] is True


def test_a_recipe_is_its_seed_and_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, recipe = torch.get_rng_state(), str(run.parent / "tiny.yaml")
    assert document([recipe], capsys)["trained"] is False
    assert main(["score", recipe, "--top", "3"]) == 0
    text = capsys.readouterr().out
    assert "untrained" in text and "The best 3 of 24 moves" in text
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("width", [40, 60, 100])
def test_lines_fit_the_terminal(
    width: int, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["score", str(run.parent / "tiny.yaml"), "--criterion", "random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    paths = str(run.parent / "tiny.yaml")
    assert max(len(line) for line in lines if line not in paths) <= width or width < len(paths)
    assert any("blocks.0.pointwise.conv" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RECIPE", "--criterion", "units"], "growth.criterion: unknown criterion"),
        (["RECIPE", "--images", "many"], "growth.images: expected a whole number"),
        (["RECIPE", "--set", "growth.criterion.cc=3"], "did you mean 'c'?"),
        (["RECIPE", "--factory", "a:b"], "--factory makes the network of a run's folder"),
        (["RUN", "--set", "data.size=28"], "expected data of shape (1, 14, 14)"),
        (["mobilenet_v1"], "name it in a recipe"),
        (["FOLDER"], "expected recipe.yaml in"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(
    words: list[str],
    said: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"RECIPE": run.parent / "tiny.yaml", "RUN": run, "FOLDER": tmp_path}
    assert main(["score", *(str(names.get(word, word)) for word in words)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err.splitlines()[-1]
    assert "Traceback" not in shown.err


def test_every_kind_of_move_has_a_name_and_counts_once() -> None:
    """Of a channel's several splits the best counts; a new neuron is no channel."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    graph = ea.trace(model, torch.zeros(1, 3))
    (name,) = (group.name for group in graph.growable)
    moves = {
        "split in 2": ea.Split(group=name, channel=1),
        "signed split in 3": ea.Split(group=name, channel=1, shares=(1.0, 1.0, -1.0)),
        "new neuron": ea.NewNeuron(group=name),
    }
    assert {said: kind(move) for said, move in moves.items()} == dict(
        zip(moves, moves, strict=True)
    )
    assert kind(ea.NewLayer(behind=name, hidden=3)) == "new conv, 3 wide"
    gains = (0.2, 0.3, 0.1)
    found = [Candidate(move=m, gain=g) for m, g in zip(moves.values(), gains, strict=True)]
    silent = Candidate(move=ea.Split(group=name, channel=0), gain=0.0)
    (row,) = groups_of(Scores([*found, silent]), graph)
    assert (row.best, row.quarter, row.stable, row.why) == (0.3, 0.3, 1, "")
    (row,) = groups_of(Scores([silent], nothing={name: "it is straight"}), graph)
    assert (row.stable, row.why) == (1, "it is straight")

"""A whole run of several limits on real pictures: each network certified, one bill, one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import easearch as ea
from easearch.budget import find_meter
from easearch.claims import unfinished
from easearch.cli import main
from easearch.cli.grow import summary_rows
from easearch.errors import FileFormatError
from easearch.growth.events import Event, Phase
from easearch.models import build
from easearch.reporting.digits import percent, quantity

TIMES = (1.3, 1.8)
EPOCHS, BATCH, IMAGES = 3, 64, 600
STAGES = {"stage-0", "stage-1"}
TOP = {"limit-1", "limit-2", "recipe.yaml", "report.html", "run.json", *STAGES}
NETWORK = {
    "architecture.json",
    "certificate.json",
    "history.jsonl",
    "layers.json",
    "model.onnx",
    "model.safetensors",
    "recipe.yaml",
    "report.html",
    "run.json",
    "steps.jsonl",
}


WAYS = {"branch": {"smaller": "branch"}, "cut": {}, "wide": {"start": "largest"}}
"""Branches of a trunk that grows, cut from its end, or cut from one that begins at its largest."""


def recipe(way: str = "branch") -> ea.Recipe:
    return ea.Recipe.model_validate(
        {
            "name": "tiny-front",
            "data": {"name": "fashion-mnist-mini", "validation": 0.5, "images": IMAGES},
            "model": {
                "name": "mobilenet_v1",
                "arguments": {
                    "layout": [[8, 1, 1], [8, 1, 2]],
                    "stem_channels": 8,
                    "stem_stride": 4,
                },
            },
            "budget": {"limits": {"macs": [f"{times}x" for times in TIMES]}},
            "front": WAYS[way],
            "growth": {"criterion": "random", "images": 32, "width_step": 4, "line_search": [1.0]},
            "training": {"epochs": EPOCHS, "batch_size": BATCH, "rate": 0.05, "compute": 4e8},
            "threads": 1,
        }
    )


@pytest.fixture(scope="module", params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def run(way: str, tmp_path_factory: pytest.TempPathFactory) -> ea.Run:
    return ea.grow(recipe(way), tmp_path_factory.mktemp("fronts") / "first")


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_folder_is_whole_and_nothing_else_stays(run: ea.Run, way: str) -> None:
    top = TOP - (STAGES if way == "wide" else set())
    assert {entry.name for entry in run.path.iterdir()} == top
    for one in run.front:
        assert {entry.name for entry in one.path.iterdir()} == NETWORK
    assert [entry.name for entry in run.path.parent.iterdir()] == ["first"]
    assert ea.Recipe.load(run.path / "recipe.yaml") == recipe(way)


def test_every_network_is_certified_against_its_own_limit(run: ea.Run) -> None:
    model = recipe().model
    seed = build(model.name, channels=1, classes=10, **model.arguments)
    cost = find_meter("macs").cost(ea.trace(seed, torch.zeros(1, 1, 28, 28))).total
    assert run.summary["seed_cost"]["macs"] == cost
    before = cost
    for times, one, row in zip(TIMES, run.front, run.summary["front"], strict=True):
        (proof,) = one.certificate.proofs
        assert proof.limit == pytest.approx(times * cost)
        assert before < (proof.measured or 0) <= proof.limit
        assert one.certificate.meets and row["meets"]
        told = json.loads((one.path / "certificate.json").read_text())
        assert told["proofs"] == row["proofs"]
        assert row["folder"] == one.path.name
        before = proof.measured or 0
    assert run.certificate == run.front[-1].certificate


def test_all_compute_is_spent_and_told_once(run: ea.Run, way: str) -> None:
    """The trunk's and the branches' make the whole, to half a training step of each network."""
    told = run.summary
    bill, rows = told["compute"], told["front"]
    wanted = recipe().training.compute or 0.0
    step = 3 * BATCH * sum(row["macs"] for row in rows)
    assert abs(bill["total"] - wanted) <= step
    assert bill["total"] == bill["training"] + bill["scoring"] + bill["search"]
    # The last branch leaves the trunk where that ends.
    parts = rows[-1]["began"] + sum(row["spent"] for row in rows)
    assert parts == pytest.approx(bill["total"])
    assert (rows[0]["began"] < rows[1]["began"]) == (way == "branch")


def test_every_folder_loads_and_computes_what_the_network_did(run: ea.Run) -> None:
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for one in run.front:
        with torch.no_grad():
            assert torch.equal(ea.load(one.path)(x), one.model(x))
    assert run.model is run.front[-1].model
    for stage in run.path.glob("stage-*"):
        ea.load(stage)


@pytest.mark.parametrize("verb", ["check", "export", "measure", "score"])
def test_verbs_for_one_network_name_the_folders(
    verb: str, run: ea.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {entry.name for entry in run.path.iterdir()}
    assert main([verb, str(run.path)]) == 1
    said = capsys.readouterr().err
    assert "one for each of 2 limits; name one of these in it: limit-1, limit-2" in said
    assert {entry.name for entry in run.path.iterdir()} == before
    with pytest.raises(FileFormatError, match="limit-1, limit-2"):
        ea.load(run.path)


def test_the_page_names_every_limit(run: ea.Run, capsys: pytest.CaptureFixture[str]) -> None:
    top = page(run.path)
    assert "Every limit is kept" in top and "missing" not in top
    for one in run.front:
        (proof,) = one.certificate.proofs
        assert f'<a href="{one.path.name}/report.html">{one.path.name}</a>' in top
        for text in (quantity(proof.limit, "MACs"), quantity(proof.measured or 0, "MACs")):
            assert text in top
        assert percent(one.summary["test"]["accuracy"]) in top
        assert 'limit 1 of 2: <a href="../report.html">' in page(run.front[0].path)
    before = {one: page(one) for one in (run.path, *(one.path for one in run.front))}
    for folder in before:
        (folder / "report.html").unlink()
    assert main(["report", str(run.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(one).parent.name for one in told["networks"]] == ["limit-1", "limit-2"]
    assert {folder: page(folder) for folder in before} == before


def test_grow_tells_a_row_a_limit(run: ea.Run) -> None:
    rows = dict(summary_rows(run))
    for one in run.front:
        (proof,) = one.certificate.proofs
        said = rows[one.path.name]
        assert said.endswith(", met") and quantity(proof.limit, "MACs") in said
        assert percent(one.summary["test"]["accuracy"]) in said
        assert len(said) <= 51  # with its name on a line of 60 columns
    assert rows["folder"] == str(run.path)


def test_the_same_recipe_and_seed_tell_the_same(run: ea.Run, way: str, tmp_path: Path) -> None:
    again = ea.grow(recipe(way), tmp_path / "again")
    told = [json.loads((one.path / "run.json").read_text()) for one in (run, again)]
    kept = [json.dumps([told_one["compute"], _accuracies(told_one)]) for told_one in told]
    assert kept[0] == kept[1]
    for one, other in zip(run.front, again.front, strict=True):
        assert other.path == tmp_path / "again" / other.path.name
        theirs = other.model.state_dict()
        assert all(torch.equal(theirs[k], v) for k, v in one.model.state_dict().items())


def _accuracies(told: dict[str, Any]) -> list[Any]:
    return [[row[part] for part in ("test", "validation", "macs")] for row in told["front"]]


def test_a_front_that_is_halted_leaves_what_was_trained(tmp_path: Path) -> None:
    """All networks are written before the first file is tried."""
    begun: list[Phase] = []

    def watch(event: Event) -> None:
        if isinstance(event, Phase) and event.name == "export":
            begun.append(event)
            if len(begun) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ea.grow(recipe(), tmp_path / "run", watch=watch)
    assert len(begun) == 2
    assert unfinished(tmp_path) == [tmp_path / "run"]
    for number in (1, 2):
        ea.load(tmp_path / "run" / f"limit-{number}")
    assert not (tmp_path / "run" / "run.json").exists()

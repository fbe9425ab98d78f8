"""A whole run on real pictures: its folder, its promises, the way back, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import easearch as ea
from easearch.budget import METERS, Reading
from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters.params import Params
from easearch.claims import MARK, unfinished
from easearch.errors import BudgetError, FileFormatError, RecipeError
from easearch.growth.events import Epoch, Event, Note, Phase, Step
from easearch.tracing import KINDS

FILES = {
    "architecture.json",
    "certificate.json",
    "history.jsonl",
    "layers.json",
    "model.onnx",
    "model.safetensors",
    "recipe.yaml",
    "report.html",
    "run.json",
    "stage-0",
    "stage-1",
    "steps.jsonl",
}


def recipe(**changes: Any) -> ea.Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"name": "fashion-mnist-mini", "validation": 0.8},
        "model": {
            "name": "mobilenet_v1",
            "arguments": {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8, "stem_stride": 4},
        },
        "budget": {"limits": {"macs": "1.8x", "params": "2.2x"}},
        "growth": {"stages": [0.5, 1.0], "at": [0.25, 0.5], "images": 128, "width_step": 4},
        "training": {"epochs": 4, "batch_size": 64, "rate": 0.05},
    }
    return ea.Recipe.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def told() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, told: list[Event]) -> ea.Run:
    limits = {"macs": "1.8x", "params": "2.2x", "latency": "3x"}
    path = tmp_path_factory.mktemp("runs") / "first"
    return ea.grow(recipe(budget={"limits": limits}), path, watch=told.append)


def test_the_folder_is_whole_and_nothing_else_stays(run: ea.Run) -> None:
    assert {entry.name for entry in run.path.iterdir()} == FILES
    assert [entry.name for entry in run.path.parent.iterdir()] == ["first"]
    page = (run.path / "report.html").read_text()
    assert "missing" not in page
    assert "tiny" in page
    assert ea.Recipe.load(run.path / "recipe.yaml") == recipe(
        budget={"limits": {"macs": "1.8x", "params": "2.2x", "latency": "3x"}}
    )


def test_every_limit_is_kept_on_the_file(run: ea.Run) -> None:
    assert run.certificate.meets
    proofs = {proof.meter: proof for proof in run.certificate.proofs}
    assert set(proofs) == {"macs", "params", "latency"}
    assert all(proof.measured is not None for proof in proofs.values())
    seed = ea.trace(ea.load(run.path / "stage-0"), torch.zeros(1, 1, 28, 28))
    costs = ea.measure(seed, ["macs", "params"])
    assert proofs["macs"].limit == pytest.approx(1.8 * costs["macs"].total)
    assert proofs["macs"].measured == proofs["macs"].predicted == run.summary["macs"]


def test_model_folder_and_file_compute_the_same(run: ea.Run) -> None:
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = run.model(x)
        assert torch.equal(ea.load(run.path)(x), expected)
    session = onnxruntime.InferenceSession(run.path / "model.onnx")
    (got,) = session.run(None, {"input": x.numpy()})
    assert np.allclose(got, expected.numpy(), atol=1e-4 * float(expected.abs().max()))


def test_rows_tell_what_happened(run: ea.Run, told: list[Event]) -> None:
    history = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in (run.path / "steps.jsonl").read_text().splitlines()]
    assert all(a["epoch"] < b["epoch"] for a, b in pairwise(history))
    assert history[-1]["epoch"] == pytest.approx(4, abs=0.05)
    grown = [step["epoch"] for step in steps]
    assert grown == pytest.approx([1, 2], abs=0.05)
    for row in history:
        assert row["stage"] == sum(row["epoch"] > at for at in grown)
    assert len([e for e in told if isinstance(e, Epoch)]) == len(history)
    assert len([e for e in told if isinstance(e, Step)]) == 2
    phases = [event.name for event in told if isinstance(event, Phase)]
    assert phases[0] == "load"
    assert phases[-1] == "certify"
    for step in steps:
        for meter, limit in step["limits"].items():
            assert step["costs_after"][meter] <= limit * (1 + 1e-9)
        assert step["kept"] == pytest.approx(
            step["loss_before"] - dict(step["line_search"])[step["factor"]]
        )
    assert steps[1]["widths_after"] == run.summary["widths"]
    assert run.summary["compute"]["total"] == sum(
        run.summary["compute"][part] for part in ("training", "scoring", "search")
    )


def test_the_same_recipe_and_seed_give_the_same_network(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    one, two, other = (
        ea.grow(recipe(seed=seed), tmp_path / name).model.state_dict()
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one if key in other)
    assert torch.equal(before, torch.get_rng_state())


class Optimist(Params):
    """Predicts fewer parameters than the file holds: the file misses a limit that the plan kept."""

    name = "optimist"
    believed = 0.7

    def count(self, shape: Any) -> int:
        return int(self.believed * KINDS[shape.kind].params(shape)) if shape.kind in KINDS else 0

    def on_file(self, file: OnnxFile) -> Reading:
        return Reading(value=float(file.params()))


class Dreamer(Optimist):
    """No network keeps what it predicts."""

    name = "dreamer"
    believed = 0.2


@pytest.fixture
def optimists() -> Iterator[None]:
    METERS.update({"optimist": Optimist, "dreamer": Dreamer})
    yield
    del METERS["optimist"], METERS["dreamer"]


def test_a_file_over_its_limit_sends_the_run_back(tmp_path: Path, optimists: None) -> None:
    told: list[Event] = []
    run = ea.grow(
        recipe(budget={"limits": {"optimist": "1.8x"}}),
        tmp_path / "run",
        watch=told.append,
        overrides={"growth.criterion": "unit", "growth.even": 0},
    )
    assert run.certificate.meets
    assert [e.text for e in told if isinstance(e, Note)] == run.summary["notes"]
    assert len([note for note in run.summary["notes"] if "stepped back" in note]) == 1
    taken = [event for event in told if isinstance(event, Step)]
    assert len(taken) == 3
    # What the first growth made was too dear already: the way goes back to the seed.
    assert [step.round for step in run.steps] == [1]
    assert taken[2].costs_after["optimist"] < taken[1].costs_after["optimist"]
    assert taken[2].widths_before == taken[0].widths_before
    history = (run.path / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in history]
    assert epochs == sorted(epochs) and epochs[-1] == pytest.approx(4, abs=0.05)
    assert not (run.path / "stage-1").exists()


def test_a_limit_that_no_file_keeps_is_an_error(tmp_path: Path, optimists: None) -> None:
    folder = tmp_path / "run"
    with pytest.raises(BudgetError, match=r"still misses its limit.* stays in .*run.*the network"):
        ea.grow(recipe(budget={"limits": {"dreamer": "1.2x"}}), folder)
    ea.load(folder)  # what was trained is not lost
    assert not (folder / "run.json").exists()
    assert [one.name for one in unfinished(tmp_path)] == ["run"]
    assert "still misses" in json.loads((folder / MARK).read_text())["failed"]


def test_refusals_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(RecipeError, match="empty or not there"):
        ea.grow(recipe(), tmp_path / "full")
    with pytest.raises(BudgetError, match="below the seed's own"):
        ea.grow(recipe(budget={"limits": {"params": 10}}), tmp_path / "run")
    arguments = {**recipe().model.arguments, "classes": 7}
    with pytest.raises(RecipeError, match=r"model.arguments.classes: expected 10"):
        ea.grow(recipe(model={"name": "mobilenet_v1", "arguments": arguments}), tmp_path / "run")
    assert [entry.name for entry in tmp_path.iterdir()] == ["full"]


def test_a_run_with_new_layers_ends_in_a_certified_folder(tmp_path: Path) -> None:
    """Its architecture has them, it loads, the file computes the same, and so does the page."""
    found = {"name": "firefly", "neurons_a_layer": 2, "new": 2}
    growth = {**recipe().model_dump()["growth"], "criterion": found, "layers": 1}
    limits = {"macs": "2.5x", "params": "6x"}
    run = ea.grow(recipe(growth=growth, budget={"limits": limits}), tmp_path / "run")
    assert run.certificate.meets
    put = [name for step in run.steps for name in step.layers]
    assert put
    described = json.loads((run.path / "architecture.json").read_text())["deeper"]
    assert len(described) == len(put)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = ea.load(run.path)(x)
        assert torch.equal(expected, run.model(x))
    (got,) = onnxruntime.InferenceSession(run.path / "model.onnx").run(None, {"input": x.numpy()})
    assert np.allclose(got, expected.numpy(), atol=1e-4 * float(expected.abs().max()))
    assert "new layers" in (run.path / "report.html").read_text()
    for step in run.steps:
        assert all(step.costs_after[name] <= limit for name, limit in step.limits.items())


def test_auto_takes_more_images_until_they_are_enough(tmp_path: Path) -> None:
    """Half of the set at most; what was not enough is told, and the rest is searched on."""
    growth = {**recipe().model_dump()["growth"], "images": "auto"}
    slow = {"epochs": 4, "batch_size": 64, "rate": 1e-3}  # hardly trained: gains are hard to see
    data = {"name": "fashion-mnist-mini", "validation": 0.5}
    plan = recipe(growth=growth, data=data, training=slow)
    told: list[Event] = []
    run = ea.grow(plan, tmp_path / "run", watch=told.append)
    half = (10_000 - run.summary["validation"]["images"]) // 2  # of what is not held out
    again = [
        n for n in run.summary["notes"] if n.startswith("scored again on 2,048 images: on 1,0")
    ]
    assert again
    assert len(again) == len([step for step in run.steps if step.images > 1024])
    for step in run.steps:
        assert step.held_out is not None and step.rank_correlation is not None
        enough = step.held_out >= 0.8 and step.rank_correlation >= 0.9
        assert step.images in (1024, 2048, half) and (enough or step.images == half)
    rows = [json.loads(line) for line in (run.path / "steps.jsonl").read_text().splitlines()]
    assert [row["rank_correlation"] for row in rows] == [s.rank_correlation for s in run.steps]
    assert "halves agree" in (run.path / "report.html").read_text()


OWN = """
import torch
from torch import nn

torch.rand(3)  # drawn once, when the module is imported

def net(width=8, out=10):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 4, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, out),
    )

def fails():
    raise RuntimeError("no luck")

def three_channels():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine_for_run.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine_for_run", raising=False)
    # Python's own cache of a module that was imported is not what a run leaves behind.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_a_factory_of_ones_own_grows_from_a_recipe(own: Path) -> None:
    model = {"name": "mine_for_run:net", "arguments": {"width": 4}}
    plan = recipe(model=model, budget={"limits": {"macs": "2x"}})
    run = ea.grow(plan, own / "run")
    assert run.certificate.meets
    assert run.summary["cost"]["macs"] > run.summary["seed_cost"]["macs"]
    widths = json.loads((own / "run" / "architecture.json").read_text())
    assert (widths["factory"], widths["arguments"]) == ("mine_for_run:net", {"width": 4})
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for folder in (own / "run", own / "run" / "stage-1"):
        with pytest.raises(FileFormatError, match="mine_for_run:net"):
            ea.load(folder)
        loaded = ea.load(folder, factory="mine_for_run:net")
        if folder.name == "run":
            assert torch.equal(loaded(x), run.model(x))
    # the module is imported by now: what it drew when it was must not have changed the run
    again = ea.grow(plan, own / "again").model.state_dict()
    assert all(torch.equal(again[key], value) for key, value in run.model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("mine_for_run:nett", {}, "model.name: expected package.module:factory.*'nett'"),
        ("no_such_module:net", {}, "model.name: .*No module named 'no_such_module'"),
        ("mine_for_run:fails", {}, "model.arguments: mine_for_run:fails failed with Runtime"),
        ("mine_for_run:net", {"wide": 3}, "model.arguments: .*'wide'"),
        ("mine_for_run:net", {"out": 7}, "to give 10 numbers a picture.*got .1, 7. for one"),
        ("mine_for_run:three_channels", {}, "does not run on the data.*1, 1, 28, 28"),
    ],
)
def test_a_factory_that_does_not_fit_is_refused(
    name: str, arguments: dict[str, Any], said: str, own: Path
) -> None:
    with pytest.raises(RecipeError, match=said):
        ea.grow(recipe(model={"name": name, "arguments": arguments}), own / "run")
    assert [path.name for path in own.iterdir()] == ["mine_for_run.py"]

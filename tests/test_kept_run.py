"""What a run leaves that does not come to its end: never less than was trained."""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import easearch as ea
from easearch import assembly
from easearch.claims import MARK, unfinished
from easearch.errors import DeviceError, FolderError, TrainingError
from easearch.growth.events import Epoch, Event, Note, Phase, Step

NET = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 4, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )

def leaves():
    raise SystemExit(0)
"""


def recipe(**changes: Any) -> ea.Recipe:
    values: dict[str, Any] = {
        "name": "short",
        "data": {"name": "fashion-mnist-mini", "images": 300, "validation": 0.3},
        "model": {"name": "net_for_kept:net"},
        "budget": {"limits": {"params": "2x"}},
        "growth": {
            "criterion": "random",
            "stages": [0.5, 1.0],
            "at": [0.3, 0.6],
            "images": 32,
            "width_step": 4,
            "line_search": [1.0],
        },
        "training": {"epochs": 3, "batch_size": 32, "rate": 0.05},
        "threads": 1,
    }
    return ea.Recipe.model_validate({**values, **changes})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "net_for_kept.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("net_for_kept", None)


def loaded(folder: Path) -> Any:
    return ea.load(folder, factory="net_for_kept:net")


def rows(file: Path) -> list[Any]:
    return [json.loads(line, parse_constant=pytest.fail) for line in file.read_text().splitlines()]


def test_a_certificate_that_cannot_be_made_leaves_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: Any, **__: Any) -> Any:
        raise DeviceError("no such layer on that device")

    monkeypatch.setattr(assembly, "certify", unable)
    folder = tmp_path / "run"
    said = r"no such layer on that device; what was trained before stays in .*run \(the network"
    with pytest.raises(DeviceError, match=said):
        ea.grow(recipe(), folder)
    loaded(folder), loaded(folder / "stage-1")
    assert rows(folder / "history.jsonl")[-1]["epoch"] == pytest.approx(3, abs=0.2)
    assert len(rows(folder / "steps.jsonl")) == 2
    assert ea.Recipe.load(folder / "recipe.yaml") == recipe()
    assert unfinished(tmp_path) == [folder]
    umask = os.umask(0)
    os.umask(umask)
    for file in folder.glob("*.*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def poisoned(after: int) -> Any:
    """A watcher that makes the network's weights not a number after so many growths."""
    models: list[Any] = []
    made = assembly.Grower

    class Seen(made):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            super().__post_init__()
            models.append(self)

    def watch(event: Event) -> None:
        grown = models and len(models[0].steps) == after
        if grown and isinstance(event, Epoch | Step):
            with torch.no_grad():
                next(models[0].state.model.parameters()).fill_(math.nan)

    return Seen, watch


@pytest.mark.parametrize("after", [0, 2])
def test_a_loss_that_is_no_number_ends_the_training(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back to the last stage that is better than guessing, where there is one."""
    seen, watch = poisoned(after)
    monkeypatch.setattr(assembly, "Grower", seen)
    folder = tmp_path / "run"
    warm = {"epochs": 6, "batch_size": 16, "rate": 0.05}
    if after == 0:
        with pytest.raises(TrainingError, match=r"stage 0, epoch .* nan .*rate of .*run says"):
            ea.grow(recipe(training={**warm, "epochs": 12}), folder, watch=watch)
        assert (folder / MARK).exists() and not (folder / "run.json").exists()
        return
    run = ea.grow(recipe(training=warm), folder, watch=watch)
    assert run.summary["status"] == "diverged"
    (note,) = [n for n in run.summary["notes"] if "is delivered in place" in n]
    assert note.startswith("stage 2, epoch ")
    number = int(note.partition("the network of stage ")[2][0])
    ours, theirs = (loaded(one).state_dict() for one in (folder, folder / f"stage-{number}"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert all(torch.isfinite(one).all() for one in ours.values())
    assert rows(folder / "history.jsonl")[-1]["validation_loss"] < math.log(10)
    assert run.certificate.meets


def test_a_disk_that_fills_up_leaves_the_network_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = assembly.write

    def full(model: Any, architecture: Any, folder: Path) -> None:
        if folder == tmp_path / "run":
            raise FolderError(f"cannot write '{folder}': No space left on device")
        wanted(model, architecture, folder)

    monkeypatch.setattr(assembly, "write", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(FolderError, match=r"No space left.*lies in '.*' instead") as caught:
        ea.grow(recipe(), tmp_path / "run")
    loaded(Path(str(caught.value).partition("lies in '")[2].partition("'")[0]))


@pytest.mark.parametrize("name", ["model.onnx", "report.html", "model.safetensors"])
def test_what_others_put_into_the_folder_meanwhile_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "run" / name

    def watch(event: Event) -> None:
        if isinstance(event, Epoch):
            theirs.write_text("theirs")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(FolderError, match=rf"got {name}, .*lies in '.*' instead") as caught:
        ea.grow(recipe(), tmp_path / "run", watch=watch)
    assert theirs.read_text() == "theirs"
    loaded(Path(str(caught.value).partition("lies in '")[2].partition("'")[0]))


def test_a_run_that_is_interrupted_before_its_first_network_leaves_nothing(tmp_path: Path) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ea.grow(recipe(), tmp_path / "run", watch=watch)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_leaves_its_stages_or_nothing(tmp_path: Path) -> None:
    def halt(at: str) -> Any:
        def watch(event: Event) -> None:
            told.append(event)
            if isinstance(event, Phase) and event.name == at:
                raise KeyboardInterrupt

        return watch

    told: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        ea.grow(recipe(), tmp_path / "early", watch=halt("train"))
    assert not (tmp_path / "early").exists()
    with pytest.raises(KeyboardInterrupt):
        ea.grow(recipe(), tmp_path / "late", watch=halt("score"))
    loaded(tmp_path / "late" / "stage-0")
    assert rows(tmp_path / "late" / "history.jsonl")
    (note,) = [one.text for one in told if isinstance(one, Note) and "stays in" in one.text]
    assert "late (stage-0)" in note


def test_no_space_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(FolderError, match=r"expected .* MB of free space .*run.*got 0.0 MB"):
        ea.grow(recipe(), tmp_path / "a" / "run")
    assert not (tmp_path / "a").exists()


def test_a_factory_that_leaves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ea.EasearchError, match="leaves failed with SystemExit: 0"):
        ea.grow(recipe(model={"name": "net_for_kept:leaves"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()

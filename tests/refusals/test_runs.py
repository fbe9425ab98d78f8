"""What `grow`, `plan`, `sweep` and `compare` refuse before anything is trained or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from easearch.claims import lock
from refusals.refused import refused

RECIPE: dict[str, Any] = {
    "name": "short",
    "data": {"name": "fashion-mnist-mini", "images": 300, "validation": 0.3},
    "model": {
        "name": "mobilenet_v1",
        "arguments": {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8, "stem_stride": 4},
    },
    "budget": {"limits": {"params": "2x"}},
    "growth": {"images": 32, "width_step": 4},
    "training": {"epochs": 2, "batch_size": 32, "rate": 0.05},
    "threads": 1,
}
SWEPT = {**RECIPE, "sweep": {"training.rate": {"low": 0.01, "high": 0.1}}}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(RECIPE))
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SWEPT))
    (tmp_path / "letter.txt").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "model.pt").write_text("mine")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "rows.json").write_text(json.dumps({"rows": [{"arm": "x"}]}))
    (tmp_path / "nan.json").write_text('{"rows": [{"arm": "x", "accuracy_mean": NaN}]}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    return tmp_path


PLACES = {
    "letter.txt": "is no folder",
    "letter.txt/run": "Not a directory",
    "nowhere": "a link to nothing",
    "nowhere/run": "No such file|File exists",
    "full": "empty or not there",
    "full/model.pt": "is no folder",
    ".": "empty or not there",
    "..": "empty or not there",
    "x" * 300: "too long",
    "a/" + "x" * 300: "too long",
    "/proc/run": "cannot write '/proc",
    "/dev/null": "is no folder",
}


@pytest.mark.parametrize("out", PLACES)
def test_a_place_that_cannot_be_a_run(out: str, here: Path) -> None:
    refused(["grow", "r.yaml", "--out", out], here, PLACES[out])


CHANGES = {
    "evidence=nosuch.json": "evidence: .*nosuch.json",
    "evidence=letter.txt": "evidence: .*letter.txt",
    "evidence=full": "evidence: .*full",
    "evidence=rows.json": "it is no evidence",
    "evidence=nan.json": "evidence: .*nan.json",
    "evidence=deep.json": "evidence: .*deep.json",
    "evidence=/dev/zero": "evidence: .*/dev/zero",
    "data.images=20": "data.(validation|images)|training pictures",
    "data.images=9": "images",
    "growth.images=1": "growth.images: expected a whole number of images, 2 to",
    "data.validation=0.0001": "validation part: a share of 0.0001",
    "data.validation=0": "data.validation|validation",
    "data.validation=0.999": "validation",
    "training.compute=1": "training.compute: expected",
    "training.epochs=0.001": "training step|epochs",
    "model.name=no_such_module:net": "model.name",
    "model.name=os:getcwd": "model.arguments: os:getcwd|expected .* nn.Module",
    "model.name=sys:exit": "sys:exit failed with SystemExit",
    "device=cuda": "CUDA",
    "data.root=missing": "root|folder|data",
}


@pytest.mark.parametrize("verb", ["grow", "plan"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_would_end_a_run_later(change: str, verb: str, here: Path) -> None:
    words = [verb, "r.yaml", "--set", change]
    if change.startswith("data.root"):
        words += ["--set", "data.name=folder"]
    if change.startswith("model.name"):
        words += ["--set", "model.arguments={}"]
    refused(words, here, CHANGES[change])


@pytest.mark.parametrize("verb", ["sweep", "compare"])
@pytest.mark.parametrize("out", ["full", "letter.txt", "nowhere", "letter.txt/study"])
def test_a_place_that_cannot_be_a_study(verb: str, out: str, here: Path) -> None:
    extra = ["--trials", "1"] if verb == "sweep" else ["--seeds", "1", "--arms", "uniform"]
    refused([verb, "s.yaml", "--out", out, *extra], here)


def test_a_folder_in_which_another_process_works(here: Path) -> None:
    held: Callable[[], None] = lock(here / "busy").release
    refused(["grow", "r.yaml", "--out", "busy"], here, "another process is at work in busy")
    refused(["sweep", "s.yaml", "--out", "busy", "--trials", "1"], here, "another process")
    held()
    assert not (here / "busy").exists()


@pytest.mark.parametrize("content", ["no database", "", "SQLite format 3\0" + "x" * 200])
def test_a_database_that_is_none(content: str, here: Path) -> None:
    (here / "study").mkdir()
    (here / "study" / "study.db").write_text(content or "x")
    refused(["sweep", "s.yaml", "--out", "study", "--trials", "1"], here, "study.db: expected")


def test_somebody_elses_best(here: Path) -> None:
    (here / "study").mkdir()
    (here / "study" / "study.db").write_text("")
    (here / "study" / "best").symlink_to(here / "full")
    refused(["sweep", "s.yaml", "--out", "study", "--trials", "1"], here, "'study/best' to be free")

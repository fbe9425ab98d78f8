"""A study takes away nothing that it did not make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_sweep import tiny

from easearch.claims import lock
from easearch.errors import FileFormatError, RecipeError
from easearch.sweeps import TrialResult, sweep
from easearch.sweeps.folder import keep_best, lighten, trial_folder

HEAVY = ("model.safetensors", "model.onnx", "stage-0/model.safetensors")


def run(folder: Path, number: int) -> TrialResult:
    for name in (*HEAVY, "run.json"):
        file = trial_folder(folder, number) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name} of {number}")
    return TrialResult(number=number, values={"training.rate": 0.1}, accuracy=0.5, feasible=True)


def test_links_are_not_followed(tmp_path: Path) -> None:
    theirs, folder = tmp_path / "theirs", tmp_path / "study"
    theirs.mkdir()
    (theirs / "model.pt").write_text("theirs")
    result = run(folder, 0)
    (folder / "trial-x").symlink_to(theirs)
    (trial_folder(folder, 0) / "linked").symlink_to(theirs)
    keep_best(folder, result)
    lighten(trial_folder(folder, 0))
    assert (theirs / "model.pt").read_text() == "theirs"
    left = {one.name for one in trial_folder(folder, 0).iterdir()}
    assert left == {"run.json", "linked"}
    assert (folder / "best" / "stage-0" / "model.safetensors").is_file()


@pytest.mark.parametrize("touched", [None, "notes.txt", "model.onnx"])
def test_a_former_best_goes_only_as_it_was_put_there(touched: str | None, tmp_path: Path) -> None:
    keep_best(tmp_path, run(tmp_path, 0))
    if touched is not None:
        (tmp_path / "best" / touched).write_text("theirs, and longer")
    keep_best(tmp_path, run(tmp_path, 1))
    assert (tmp_path / "best" / "model.onnx").read_text() == "model.onnx of 1"
    if touched is None:
        assert not (tmp_path / "best-0").exists()
    else:
        assert (tmp_path / "best-0" / touched).read_text() == "theirs, and longer"
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_one_study_a_folder_and_one_process(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("easearch.sweeps.study.run_trial", _fails)
    sweep(tiny(), 1, tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RecipeError, match="holds the study 'tiny'"):
        sweep(tiny(name="other"), 1, tmp_path / "out")
    held = lock(tmp_path / "out")
    with pytest.raises(RecipeError, match="another process is at work"):
        sweep(tiny(), 1, tmp_path / "out")
    held.release()
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.db").write_text("mine")
    with pytest.raises(FileFormatError, match=r"study.db: expected the database of a study"):
        sweep(tiny(), 1, tmp_path / "mine")
    assert (tmp_path / "mine" / "study.db").read_text() == "mine"


def _fails(*_: Any) -> Any:
    raise RecipeError("no luck")

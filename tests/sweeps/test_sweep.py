"""A study: trials in their folders, the best one whole, continued by calling again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from easearch.errors import RecipeError
from easearch.growth.events import Event, Note
from easearch.recipe import Recipe
from easearch.sweeps import SweepResult, sweep
from easearch.sweeps.folder import HEAVY
from easearch.sweeps.trials import run_trial

CONTENT: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "fashion-mnist-mini", "validation": 0.95, "size": 14},
    "model": {
        "name": "mobilenet_v1",
        "arguments": {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8},
    },
    "budget": {"limits": {"macs": "2x"}},
    "growth": {"stages": [0.5, 1.0], "at": [0.34, 0.67], "images": 64, "width_step": 4},
    "training": {"epochs": 3, "batch_size": 128},
    "threads": 1,
    "sweep": {
        "growth.stages.0": {"low": 0.3, "high": 0.7},
        "training.rate": {"low": 0.02, "high": 0.2, "log": True},
    },
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EASEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def tiny(**changes: Any) -> Recipe:
    return Recipe.model_validate({**CONTENT, **changes})


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepResult, SweepResult]:
    out = tmp_path_factory.mktemp("study") / "out"
    return out, sweep(tiny(), 2, out), sweep(tiny(), 1, out)


def test_a_study_is_continued_and_asks_nothing_twice(
    studied: tuple[Path, SweepResult, SweepResult],
) -> None:
    _, first, second = studied
    assert [len(first.trials), len(second.trials)] == [2, 3]
    assert second.trials[:2] == first.trials
    assert len({trial.values["training.rate"] for trial in second.trials}) == 3
    assert all(0.3 <= trial.values["growth.stages.0"] <= 0.7 for trial in second.trials)
    assert not any(trial.error for trial in second.trials)


def test_the_best_run_is_whole_and_the_others_are_light(
    studied: tuple[Path, SweepResult, SweepResult],
) -> None:
    out, _, result = studied
    best = result.best
    assert best is not None and best.feasible
    assert best.accuracy == max(trial.accuracy or 0 for trial in result.feasible)
    assert json.loads((out / "best" / "trial.json").read_text())["trial"] == best.number
    assert (out / "best" / "model.safetensors").is_file()
    for trial in result.trials:
        folder = out / f"trial-{trial.number:04d}"
        assert (folder / "run.json").is_file()
        assert not [file for file in folder.rglob("*") if file.suffix in HEAVY]
        told = Recipe.load(folder / "recipe.yaml")
        assert told.training.rate == trial.values["training.rate"]
        assert told.growth.stages[0] == trial.values["growth.stages.0"]


def test_the_front_is_a_figure_and_data(studied: tuple[Path, SweepResult, SweepResult]) -> None:
    out, _, result = studied
    told = json.loads((out / "front.json").read_text())
    assert told["meter"] == "macs"
    assert told["front"] == [trial.number for trial in result.front]
    assert told["best"] in told["front"]
    assert "<svg" in (out / "front.svg").read_text()
    assert not list(out.glob(".*"))


def test_another_recipe_is_not_mixed_in(studied: tuple[Path, SweepResult, SweepResult]) -> None:
    out, _, result = studied
    with pytest.raises(RecipeError, match="begun with another recipe"):
        sweep(tiny(seed=1), 1, out)
    with pytest.raises(RecipeError, match="take another folder"):
        sweep(tiny(sweep={"training.rate": {"choices": [0.1]}}), 1, out)
    assert len(result.trials) == 3


def test_a_trial_that_fails_is_recorded_and_leaves_nothing(tmp_path: Path) -> None:
    told: list[Event] = []
    broken = tiny(sweep={"growth.stages.0": {"choices": [1.5]}})
    result = sweep(broken, 2, tmp_path / "out", watch=told.append)
    assert [trial.error is not None for trial in result.trials] == [True, True]
    assert "growth.stages" in (result.trials[0].error or "")
    assert result.best is None and result.front == ()
    assert not list((tmp_path / "out").glob("trial-*"))
    assert (tmp_path / "out" / "front.svg").is_file()
    assert any(isinstance(event, Note) and "failed" in event.text for event in told)


def test_what_cannot_be_swept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="sweep: names no field"):
        sweep(tiny(sweep={}), 1, tmp_path / "out")
    with pytest.raises(RecipeError, match="at least 1 trial"):
        sweep(tiny(), 0, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(RecipeError, match="other files in it"):
        sweep(tiny(), 1, tmp_path / "mine")
    assert not (tmp_path / "out").exists()


def test_a_front_is_refused_at_once_and_as_a_trial(tmp_path: Path) -> None:
    """A sweep compares single networks."""
    front = ["2x", "3x"]
    said = r"budget.limits.macs: expected one limit.* got a list, \['2x', '3x'\]; .*macs: 3x"
    with pytest.raises(RecipeError, match=said):
        sweep(tiny(budget={"limits": {"macs": front}}), 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(RecipeError, match=said):
        run_trial(tiny(), 0, {"budget.limits.macs": front}, tmp_path, lambda event: None)

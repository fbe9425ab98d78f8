"""A plan's cap on measuring: past it nothing more is measured, and what is estimated is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from easearch.budget.latency.table import LatencyTable
from easearch.budget.time_cap import TimeCap
from easearch.errors import RecipeError
from easearch.graph import Shape
from easearch.preflight.plan import plan
from easearch.recipe import Recipe


def conv(ins: int, outs: int) -> tuple[Shape, ...]:
    options = {
        "kernel": (1, 1),
        "stride": (1, 1),
        "pads": (0,) * 4,
        "dilation": (1, 1),
        "bias": True,
    }
    return (
        Shape(
            kind="conv",
            in_channels=ins,
            out_channels=outs,
            in_size=(4, 4),
            out_size=(4, 4),
            options=tuple(sorted(options.items())),
        ),
    )


def test_past_the_cap_rows_are_estimated_counted_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEARCH_CACHE", str(tmp_path))
    cap = TimeCap(0.0)
    table = LatencyTable("host", cap=cap)
    (first,) = table.rows([conv(64, 64)])  # nothing is known: one batch is measured in any case
    assert first > 0 and table.measured == 1 and not cap.estimated
    small, large = table.rows([conv(33, 64), conv(128, 256)])
    assert table.measured == 1 and len(cap.estimated) >= 2
    assert 0 < small < large
    assert LatencyTable("host").known.keys() == table.known.keys()


def test_no_cap_estimates_nothing_and_reports_are_far_between() -> None:
    told: list[tuple[int, int]] = []
    cap = TimeCap(report=lambda done, of: told.append((done, of)))
    for done in range(50):
        cap.report(done, 50)
    assert not cap.over and told == [(0, 50)]


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_minutes_are_above_nothing(minutes: float) -> None:
    with pytest.raises(RecipeError, match="minutes: expected a number above 0"):
        plan("nowhere.yaml", minutes=minutes)


def test_a_plan_past_its_cap_says_what_it_did_not_time() -> None:
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "data": {"name": "fashion-mnist-mini", "size": 14, "images": 600},
            "model": {
                "name": "mobilenet_v1",
                "arguments": {"layout": [[8, 1, 2]], "stem_channels": 8},
            },
            "budget": {"limits": {"macs": "2x"}},
            "growth": {"stages": [0.5, 1.0], "at": [0.2, 0.5], "images": 128, "width_step": 4},
            "training": {"epochs": 1, "batch_size": 64},
        }
    )
    looked = plan(recipe, minutes=1e-6)
    assert set(looked.estimate.untimed) == {"scoring", "export"}
    assert any(note.startswith("not timed but estimated") for note in looked.notes)
    assert looked.estimate.total > 0 and len(looked.classes) == 10

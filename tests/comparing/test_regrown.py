"""The trunk that shrinks and grows again: every limit, one compute, by the recipe's criterion."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from contests import check_front, contest

from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.arms.regrown import REGROWN, SHRUNK, moments
from easearch.errors import BudgetError
from easearch.growth.compute import Compute
from easearch.growth.events import Epoch, Event, Phase, Step
from easearch.growth.stream import step_compute

LIMITS = {"budget": {"limits": {"macs": ["1.7x", "2.6x", "3.6x"], "params": "6x"}}}
TRAINING = {"training": {"epochs": 16, "batch_size": 50, "rate": 0.05}}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> Iterator[tuple[Setting, list[Delivered]]]:
    folder = tmp_path_factory.mktemp("entry")
    with contest(folder, "unit+images=64", events, **LIMITS, **TRAINING) as setting:
        yield setting, (REGROWN.front or pytest.fail)(setting)


def test_limits_grid_and_compute_are_kept(done: tuple[Setting, list[Delivered]]) -> None:
    setting, front = done
    check_front(setting, front)
    macs = [Compute.macs_of(one.graph) for one in front]
    assert macs == sorted(macs) and len(set(macs)) == 3
    assert front[0].bill["scoring"] > 0 and front[1].bill["scoring"] == 0


def test_it_shrinks_to_the_smallest_and_grows_from_there(
    done: tuple[Setting, list[Delivered]], events: list[Event]
) -> None:
    setting, front = done
    steps = [one for one in events if isinstance(one, Step)]
    assert len(steps) == 3
    assert steps[0].widths_before == dict(setting.points[0].uniform)
    for one, following in pairwise(steps):
        assert following.widths_before == one.widths_after
    assert [one.widths_after for one in steps] == [one.graph.widths for one in front]


def test_growths_happen_when_they_should_at_a_constant_rate(
    done: tuple[Setting, list[Delivered]], events: list[Event]
) -> None:
    setting, _ = done
    trunk, epochs = setting.recipe.front.trunk, setting.ready.training.epochs
    wanted = [share * epochs for share in moments(setting, trunk)]
    first, last = wanted[0] / epochs, wanted[-1] / epochs
    assert first == pytest.approx(SHRUNK * trunk) and first < last < trunk
    steps = [one.epoch for one in events if isinstance(one, Step)]
    macs = setting.points[-1].macs
    one = step_compute(macs, setting.ready.feed) / setting.compute * epochs
    # scoring and searching pass on the clock too, before the moment of the next growth
    assert steps == pytest.approx(wanted, abs=3 * one)
    end = next(k for k, e in enumerate(events) if isinstance(e, Phase) and e.name == "branch")
    rates = [e.rate for e in events[:end] if isinstance(e, Epoch)]
    assert rates and set(rates) == {setting.ready.training.rate}


def test_the_sizes_between_see_as_many_batches(tmp_path: Path) -> None:
    with contest(tmp_path, **LIMITS) as setting:
        at = [*moments(setting, 0.4), 0.4]
        spent = [after - before for before, after in pairwise(at)]
        macs = [point.macs for point in setting.points]
        batches = [share / one for share, one in zip(spent, macs, strict=True)]
        assert batches == pytest.approx([batches[0]] * 3)


def test_one_limit_is_refused(tmp_path: Path) -> None:
    with contest(tmp_path) as setting, pytest.raises(BudgetError, match="two limits or more"):
        REGROWN.run(setting)

"""Epochs that pass with the compute: moments of growth, the cosine's end, the row of batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import pytest
import torch
from networks import NETWORKS, batches, sample
from torch import nn

from easearch.budget import find_meter
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Epoch, Event, Progress, Step
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.hours import Hours
from easearch.growth.loop import Grower
from easearch.growth.state import begin
from easearch.growth.stream import step_compute, stream
from easearch.growth.targets import towards
from easearch.growth.training import Training
from easearch.roles import Batches, Bound
from easearch.scoring import criterion
from easearch.selection import selector

DATA = batches(number=9, size=8)
PASS = 5


@dataclass
class Row:
    """Five batches a pass, which tell when they were taken."""

    samples: int = 8 * PASS
    steps: int = PASS
    taken: list[int] = field(default_factory=list)

    def training(self, epoch: int) -> Batches:
        for number in range(PASS):
            self.taken.append(PASS * epoch + number)
            yield DATA[(number + epoch) % PASS]

    def scoring(self, epoch: int) -> Batches:
        return DATA[5:6]

    def searching(self, epoch: int) -> Batches:
        return DATA[6:7]

    def validation(self) -> Batches:
        return DATA[7:]


@dataclass
class Ran:
    grower: Grower
    feed: Row
    events: list[Event]
    rates: list[float]


def ran(passes: float, at: Sequence[float] = (0.9, 1.7)) -> Ran:
    """Six epochs that cost as much as so many passes of the seed."""
    torch.manual_seed(3)
    feed, model = Row(), NETWORKS["tied"]().double()
    graph: Graph = begin(model, sample(), Training(epochs=1, rate=0.1)).graph
    compute = 3 * passes * feed.samples * Compute.macs_of(graph)
    training = Training(epochs=6, rate=0.02, warmup=0.5, compute=compute)
    macs = find_meter("macs")
    found = Ran(grower=None, feed=feed, events=[], rates=[])  # type: ignore[arg-type]

    def watch(event: Event) -> None:
        found.events.append(event)
        if isinstance(event, Progress):
            found.rates.append(found.grower.state.optimizer.param_groups[0]["lr"])

    found.grower = Grower(
        state=begin(model, sample(), training),
        sample=sample(),
        feed=feed,
        criterion=criterion("random"),
        selector=selector("greedy"),
        targets=towards([Bound(meter=macs, limit=2.0 * macs.cost(graph).total)], (0.5, 1.0)),
        meters=[macs],
        training=training,
        growing=GrowthSchedule(stages=(0.5, 1.0), at=tuple(at), line_search=(1.0,), width_step=2),
        watch=watch,
        verify=lambda graph, bounds: {},
        left=lambda state: None,
    )
    found.grower.run()
    return found


@pytest.mark.parametrize("passes", [4.3, 7.0, 11.9])
def test_all_is_spent_to_within_half_a_step(passes: float) -> None:
    run = ran(passes)
    step = step_compute(Compute.macs_of(run.grower.state.graph), run.feed)
    compute = run.grower.training.compute or 0.0
    assert abs(run.grower.compute.total - compute) <= step / 2 * (1 + 1e-9)
    assert run.grower.now == pytest.approx(6.0, abs=6 * step / compute)
    assert run.grower.compute.search > 0


@pytest.mark.parametrize("passes", [4.3, 11.9])
def test_growths_come_when_their_share_is_spent_and_the_cosine_ends_with_it(passes: float) -> None:
    run = ran(passes)
    steps = [event for event in run.events if isinstance(event, Step)]
    seed = step_compute(
        Compute.macs_of(begin(NETWORKS["tied"](), sample().float(), run.grower.training).graph),
        run.feed,
    )
    a_step = 6 * seed / (run.grower.training.compute or 1.0)
    assert steps[0].epoch == pytest.approx(0.9, abs=a_step)
    assert steps[1].epoch == pytest.approx(1.7, abs=3 * a_step)
    assert run.rates[0] < 0.02 and max(run.rates) == 0.02
    assert 0 < run.rates[-1] < 0.02 * 0.1
    falling = run.rates[run.rates.index(max(run.rates)) :]
    assert all(a >= b for a, b in pairwise(falling))
    rows = [event for event in run.events if isinstance(event, Epoch)]
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
    assert rows[-1].compute == run.grower.compute.total


def test_the_row_of_batches_goes_on_over_growths() -> None:
    """A batch that a growth cut off is the first of the next training."""
    run = ran(7.0)
    trained = run.grower.state.batches
    assert trained == len(run.rates)
    pieces = [event for event in run.events if isinstance(event, Epoch)]
    assert len(pieces) > -(-trained // PASS)  # a pass was cut
    assert sorted(set(run.feed.taken)) == list(range(max(run.feed.taken) + 1))
    assert max(run.feed.taken) in (trained - 1, trained)
    assert run.grower.state.epoch == trained // PASS


@pytest.mark.parametrize(("start", "count"), [(0, 3), (3, 1), (4, 9), (7, 0), (10, 5)])
def test_a_part_of_the_row_is_the_rows_own(start: int, count: int) -> None:
    whole = list(islice((b for epoch in range(5) for b in Row().training(epoch)), 25))
    part = list(stream(Row(), start, count))
    assert len(part) == count
    assert all(a is b for a, b in zip(part, whole[start : start + count], strict=True))


def test_a_pass_is_not_overrun_and_without_a_compute_there_is_no_clock() -> None:
    """Four epochs that cost as much as 20 steps of a network of 5 multiply-adds."""
    training = Training(epochs=4, rate=0.1, compute=20 * 3 * 8 * 5.0)
    hours = Hours(training=training, feed=Row())
    assert hours.each(5.0) == pytest.approx(4 / 20)
    assert hours.now(7 * 3 * 8 * 5.0) == pytest.approx(1.4)
    assert hours.steps(1.4, 4, hours.each(5.0), 7) == 3
    assert hours.steps(3.8, 4, hours.each(5.0), 19) == 1
    assert hours.steps(4.0, 4.0, hours.each(5.0), 20) == 0
    unpriced = Hours(training=Training(epochs=4, rate=0.1), feed=Row())
    with pytest.raises(BudgetError, match=r"expected training.compute, .* got none"):
        unpriced.now(1.0)


def test_models_are_untouched_by_the_clock() -> None:
    """The same seed ends with the same numbers, twice."""
    one, two = (ran(4.3).grower.state.model for _ in range(2))
    assert isinstance(one, nn.Module)
    same = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)

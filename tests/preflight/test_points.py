"""Fronts before they run: limits in order, moments, compute, and what the whole front takes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import easearch as ea
from easearch.errors import BudgetError
from easearch.front import FrontAssembly
from easearch.growth.compute import Compute
from easearch.growth.front import spent_since
from easearch.preflight.plan import Preflight, plan
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.preflight.uniform import widest_uniform

TIMES = (1.8, 2.8, 4.2)


def recipe(limits: dict[str, Any] | None = None, **changes: Any) -> ea.Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"name": "fashion-mnist-mini", "validation": 0.8, "size": 14},
        "model": {
            "name": "mobilenet_v1",
            "arguments": {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8},
        },
        "budget": {"limits": limits or {"macs": [f"{t}x" for t in TIMES], "params": "12x"}},
        "growth": {"images": 64, "width_step": 4},
        "training": {"epochs": 6, "batch_size": 64, "rate": 0.05},
        "front": {"smaller": "branch"},
        "threads": 1,
    }
    return ea.Recipe.model_validate({**values, **changes})


def ready_of(asked: ea.Recipe) -> Ready:
    with seeded(asked):
        return make_ready(asked, lambda event: None)


@pytest.fixture(scope="module")
def ready() -> Ready:
    return ready_of(recipe())


@pytest.fixture(scope="module")
def found() -> Preflight:
    return plan(recipe())


def test_every_network_has_its_limits_and_what_is_no_list_holds_for_all(ready: Ready) -> None:
    graph = ready.state.graph
    assert [len(bounds) for bounds in ready.points] == [2, 2, 2]
    for times, (macs, params) in zip(TIMES, ready.points, strict=True):
        assert (macs.meter.name, params.meter.name) == ("macs", "params")
        assert macs.limit == pytest.approx(times * macs.meter.cost(graph).total)
        assert params.limit == pytest.approx(12 * params.meter.cost(graph).total)
        assert macs.meter is ready.bounds[0].meter
    assert ready.bounds == ready.points[-1]
    assert [target.bounds for target in ready.targets] == list(ready.points)
    assert all(target.share == 1 and target.product for target in ready.targets)


def epochs_of_the_largest(ready: Ready) -> float:
    """Multiply-adds of the recipe's epochs of the uniform network within the largest limits."""
    graph, how = ready.state.graph, ready.growing
    largest = widest_uniform(graph, ready.bounds, how.width_step, how.widths, measure=False)
    macs = Compute.macs_of(graph.with_widths(largest.widths))
    return 3.0 * macs * ready.feed.samples * ready.recipe.training.epochs


def test_one_limit_is_a_front_of_one() -> None:
    training = {"epochs": 10, "batch_size": 64}
    alone = ready_of(recipe({"macs": "2.8x"}, training=training, front={"at": [0.1]}))
    assert (len(alone.points), alone.bounds) == (1, alone.points[0])
    assert alone.training.compute == pytest.approx(epochs_of_the_largest(alone), rel=1e-12)
    first, *others = (end - start for start, end in pairwise([0, *alone.growing.at]))
    assert others == pytest.approx([2 * first, 4 * first]), "twice the compute of the one before"
    assert alone.growing.at[-1] == pytest.approx(3.5)
    stages = list(alone.recipe.growth.stages)
    assert [*alone.growing.stages] == [target.share for target in alone.targets] == stages
    assert [target.product for target in alone.targets] == [False, False, True]


def test_every_size_of_the_trunk_takes_as_much_compute(ready: Ready) -> None:
    """The seed too: epochs of a front pass with the compute that is spent."""
    ends = [0.0, *ready.growing.at, ready.recipe.front.trunk * ready.recipe.training.epochs]
    taken = [end - start for start, end in pairwise(ends)]
    assert len(taken) == len(TIMES) + 1
    assert taken == pytest.approx([taken[0]] * len(taken), rel=1e-12)
    assert taken[0] > 0


def test_epochs_are_epochs_of_the_uniform_network_at_the_largest_limit(ready: Ready) -> None:
    assert ready.training.compute == pytest.approx(epochs_of_the_largest(ready), rel=1e-12)
    given = ready_of(recipe(training={"epochs": 6, "compute": 5e9}))
    assert given.training.compute == 5e9
    assert given.growing == ready.growing


def test_a_trunk_begins_at_its_largest_with_weights_drawn_anew() -> None:
    """Within its limits, on the grid, and by the recipe's seed; the seed stays what limits and
    floors count from.
    """
    asked = recipe(front={"start": "largest"})
    with seeded(asked):
        ready = make_ready(asked, lambda event: None)
        start = ready.growing.start or {}
        state, again = (ready.drawn(start) for _ in range(2))
    assert (ready.growing.at, ready.growing.stages) == ((), ())
    assert state.graph.widths == start != ready.state.graph.widths
    for bound in ready.bounds:
        assert bound.meter.cost(state.graph).total <= bound.limit
    for one, other in zip(state.model.parameters(), again.model.parameters(), strict=True):
        if one.dim() > 1:
            assert not torch.equal(one, other) and float(one.detach().std()) > 0
    with seeded(asked):
        twin = make_ready(asked, lambda event: None).drawn(start)
    for one, other in zip(state.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_moments_may_be_said_and_stages_follow_the_limits(ready: Ready) -> None:
    said = ready_of(recipe(front={"at": [0.1, 0.2, 0.25], "trunk": 0.3}))
    assert said.growing.at == pytest.approx((0.6, 1.2, 1.5))
    for one in (ready, said):
        shares = [(times - 1) / (TIMES[-1] - 1) for times in TIMES]
        assert one.growing.stages == pytest.approx(shares)


def test_of_several_lists_the_least_far_counts() -> None:
    several = ready_of(recipe({"macs": ["1.4x", "3x"], "params": ["2x", "3x"]}))
    assert several.growing.stages == pytest.approx((0.4 / 2, 1.0))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (["0.9x", "2x"], "the limit macs .* is below the seed's own"),
        (["5k", "2x"], "the limit macs 5k is below the seed's own 12.4.k; raise"),
        (["2x", "20k"], r"budget.limits.macs: expected increasing .* got 2x before 20k, that is "),
        (["2x", 24], "was 24k meant"),
        (["20k", "1.2x", "30k"], "got 20k before 1.2x, that is 20k before 14.94k here; change"),
    ],
)
def test_limits_that_the_seed_exceeds_or_that_do_not_increase(limits: list[Any], said: str) -> None:
    with pytest.raises(BudgetError, match=said):
        ready_of(recipe({"macs": limits}))
    with pytest.raises(BudgetError, match=said):
        plan(recipe({"macs": limits}))


def test_a_number_and_a_multiple_in_order_are_welcome() -> None:
    mixed = ready_of(recipe({"macs": ["1.4x", "30k", "2.9x"]}))
    limits = [bounds[0].limit for bounds in mixed.points]
    assert limits == sorted(limits) and limits[1] == 30_000


def test_a_limit_that_comes_too_soon_is_told_of(found: Preflight) -> None:
    """The first growth at most doubles every group; later limits have more growths."""
    wide = ready_of(recipe({"macs": ["7x", "8x"]}))
    (note,) = wide.notes
    assert "growth cannot fill the limit macs" in note
    assert "growth 1 of this front reaches" in note and "put a limit before it" in note
    assert not any("limit macs" in note for note in found.notes)


def test_a_plan_tells_every_limit_of_a_front(found: Preflight, ready: Ready) -> None:
    macs = [one for one in found.limits if one.meter == "macs"]
    assert [one.network for one in found.limits] == [1, 1, 2, 2, 3, 3]
    assert [one.written for one in macs] == [f"macs: {times}x" for times in TIMES]
    assert len({one.seed for one in macs}) == 1
    for before, after in pairwise(macs):
        assert before.limit < after.limit
        assert before.expected < after.expected and before.reach < after.reach
    for one in macs:
        assert one.seed < one.expected <= min(one.limit, one.reach)
        assert one.verdict == "met and filled"
    assert [one.written for one in found.limits[1::2]] == ["params: 12x"] * 3
    assert (found.networks, found.growths) == (3, ready.growing.at)
    assert found.trunk == pytest.approx(0.8 * 6)
    text = str(found)
    assert "a front of 3 networks" in text and "macs of network 2" in text


@pytest.mark.parametrize(
    "way",
    [
        {"smaller": "branch"},
        {"smaller": "cut"},
        {"smaller": "cut", "start": "largest"},
    ],
    ids=["branch", "cut", "wide"],
)
def test_what_a_front_takes_is_what_it_will_take(
    way: dict[str, str], found: Preflight, tmp_path: Path
) -> None:
    """Multiply-adds and widths, as growing and annealing count and choose them."""
    asked = recipe(front=way)
    if way["smaller"] != "branch":
        found = plan(asked)
    with seeded(asked):
        ready = make_ready(asked, lambda event: None)
        front = FrontAssembly(ready, tmp_path, lambda event: None)
        trunk = front.grower()
        branches = list(front.grown(trunk))
    bills = [trunk.compute.as_dict(), *map(spent_since, branches)]
    for part, near in (("training", 0.02), ("scoring", 0.2), ("search", 0.2)):
        truth = sum(bill[part] for bill in bills)
        assert found.estimate.compute[part] == pytest.approx(truth, rel=near), part
    assert len(branches) == found.networks
    for one, branch in zip(found.limits[::2], branches, strict=True):
        cost = Compute.macs_of(branch.state.graph)
        assert one.expected == pytest.approx(cost, rel=0.25) and cost <= one.limit


def test_all_of_the_compute_is_planned_for(ready: Ready, found: Preflight) -> None:
    assert found.estimate.compute["total"] == pytest.approx(ready.training.compute, rel=1e-9)


def test_a_single_run_by_compute_is_planned_to_spend_it() -> None:
    asked = recipe({"macs": "2.8x"}, training={"epochs": 6, "compute": 4e8})
    assert plan(asked).estimate.compute["total"] == pytest.approx(4e8, rel=1e-9)


def test_a_front_takes_nothing_from_growth_stages(ready: Ready) -> None:
    """`growth.stages` and `growth.at` are for a single limit."""
    growth = {**recipe().growth.model_dump(), "stages": [1.0], "at": [0.9]}
    other = ready_of(recipe(growth=growth))
    assert other.growing == ready.growing

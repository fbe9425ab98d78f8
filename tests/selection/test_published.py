"""The published form: the linear program that it says it solves, and what its departures mend."""

from __future__ import annotations

import numpy as np
import pytest
from choosing import bounds_of, dealt, graph_of
from scipy.optimize import linprog

import easearch as ea
from easearch.budget import find_meter
from easearch.errors import BudgetError
from easearch.roles import Range
from easearch.selection import Published


@pytest.mark.parametrize("network", ["tied", "mobilenet_v2", "plain"])
@pytest.mark.parametrize("seed", range(5))
def test_the_released_form_is_its_linear_program(network: str, seed: int) -> None:
    graph, macs = graph_of(network), find_meter("macs")
    candidates = [c for c in dealt(graph, seed, groups=9) if c.gain > 0]
    (bound,) = bounds_of(graph, 1.5, ("macs",))
    now = macs.cost(graph).total
    energies = np.array([macs.cost(graph.after([c.move])).total - now for c in candidates]) ** 0.5
    full = macs.cost(graph.after([c.move for c in candidates])).total
    share = min((bound.limit - now) / (full - now), 1.0)
    found = linprog(
        [-c.gain for c in candidates],
        A_ub=energies[None],
        b_ub=[share * energies.sum()],
        bounds=(0, 1),
    )
    kept = sum(c.gain for c, beta in zip(candidates, found.x, strict=True) if beta >= 0.9)
    plan = Published(faithful=True).select(candidates, graph, [bound], 4)
    assert plan.gain == pytest.approx(kept)
    assert plan.widths == graph.after(plan.moves).widths
    assert plan.prices[0].after == macs.cost(graph.with_widths(plan.widths)).total


def test_without_its_departures_it_misses_limits_and_the_step() -> None:
    missed, off, graph = 0, 0, graph_of("mobilenet_v2")
    for seed in range(8):
        candidates, bounds = dealt(graph, seed, groups=9), bounds_of(graph, 1.2, ("memory",))
        plan = Published(faithful=True).select(candidates, graph, bounds, 4)
        missed += any(price.after > price.limit for price in plan.prices)
        changed = [w for name, w in plan.widths.items() if w != graph.widths[name]]
        off += any(width % 4 for width in changed)
        kept = Published().select(candidates, graph, bounds, 4)
        assert all(price.after <= price.limit * (1 + 1e-12) for price in kept.prices)
    assert missed > 0
    assert off > 0


def test_of_several_candidates_for_a_channel_one_takes_part() -> None:
    graph = graph_of()
    candidates = [
        ea.Candidate(move=ea.Split(group="stem.0", channel=0, shares=shares), gain=gain)
        for shares, gain in (((0.5, 0.5), 1.0), ((0.2, 0.3, 0.5), 9.0))
    ]
    plan = Published(faithful=True).select(candidates, graph, bounds_of(graph, 9.0), 4)
    assert [len(move.shares) for move in plan.moves if isinstance(move, ea.Split)] == [3]


def test_the_released_form_knows_no_widths_to_keep_to() -> None:
    graph = graph_of()
    with pytest.raises(BudgetError, match="the published form knows none"):
        Published(faithful=True).select([], graph, [], 4, {"*": Range.locked()})

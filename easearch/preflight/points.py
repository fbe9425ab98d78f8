"""The limits of every network that a run delivers: priced, in order, and held against growth.

A front has several, smallest first: by its k-th growth the trunk has to reach the k-th. A run with
one limit is a front of one, which all its growths lead to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from easearch.budget import Budget
from easearch.budget.quantities import spelled
from easearch.budget.time_cap import TimeCap
from easearch.budget.unit_check import Reach
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.preflight.reach import unreachable
from easearch.recipe import Recipe
from easearch.roles import Bound

Points = tuple[tuple[Bound, ...], ...]


def budgets_of(recipe: Recipe) -> list[Budget]:
    """A budget a network, smallest first."""
    part = recipe.budget
    return [Budget(limits, part.device, precision=part.precision) for limits in part.points]


def legs(recipe: Recipe) -> int:
    """The limits that growth goes through one by one: all of a front, unless its trunk begins at
    its largest size.
    """
    return 1 if recipe.wide else len(recipe.budget.points)


def priced(
    budgets: Sequence[Budget],
    graph: Graph,
    wider: Sequence[Graph],
    legs: int,
    cap: TimeCap | None = None,
) -> Points:
    """The limits of every network, relative ones resolved against the seed.

    Args:
        budgets: a budget a network.
        graph: the seed.
        wider: the widest that it can be after each growth.
        legs: limits that growth goes through one by one.
        cap: on the time that is measured.

    Raises:
        BudgetError: the seed is above the first limits, one is off by a thousand, or they do not
            increase.
        DeviceError: a latency cannot be measured.
    """
    found = [
        budget.bounds(graph, wider[: growths(number, legs, len(wider))], cap)
        for number, budget in enumerate(budgets)
    ]
    for number, (budget, following) in enumerate(pairwise(budgets)):
        for bound, after in zip(found[number], found[number + 1], strict=True):
            _check_order(bound, after, budget, following)
    # One meter for all of a kind: what it has priced it need not price again.
    return tuple(
        tuple(replace(b, meter=last.meter) for b, last in zip(bounds, found[-1], strict=True))
        for bounds in found
    )


def growths(number: int, legs: int, stages: int) -> int:
    """Growths that lead to a network, counted from 0, of so many: one more each, limit by limit."""
    return number + 1 if legs > 1 else stages


def reach_to(reach: Reach, number: int, legs: int) -> Reach:
    """What the growths up to a network of the front can make of a limit."""
    stages = len(reach.graphs) - 1
    return replace(reach, graphs=reach.graphs[: growths(number, legs, stages) + 1])


def beyond(points: Points, reaches: Sequence[Reach], legs: int) -> list[str]:
    """The sentences on limits that the growths up to them cannot fill; one that holds for all
    networks of a front is held against all growths.
    """
    told = []
    for number, bounds in enumerate(points):
        for bound, last, reach in zip(bounds, points[-1], reaches, strict=True):
            if bounds is points[-1] or bound.limit < last.limit:
                there = reach_to(reach, number, legs)
                told.append(unreachable(bound, there, front=legs > 1))
    return [sentence for sentence in told if sentence is not None]


def _check_order(bound: Bound, after: Bound, budget: Budget, following: Budget) -> None:
    """Refuse a list whose next limit is not above the one before it; what is no list is equal."""
    name, unit = bound.meter.name, bound.meter.unit
    one, other = budget.quantities[name], following.quantities[name]
    if bound.limit < after.limit or one == other:
        return
    raise BudgetError(
        f"budget.limits.{one.key}: expected increasing limits, smallest first, got {one.text} "
        f"before {other.text}, that is {spelled(bound.limit, unit, 4)} before "
        f"{spelled(after.limit, unit, 4)} here; change their order or leave one out"
    )

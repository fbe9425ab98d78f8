"""How far the growths of a recipe can take a network: the widths at most, and those that fill it.

Every channel can be split once a growth, so that a group at most doubles; widths stay on the
device's step and within floors, ceilings and locks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from easearch.budget.quantities import spelled
from easearch.budget.unit_check import Reach
from easearch.errors import BudgetError
from easearch.graph import Graph, stride
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.targets import Target
from easearch.roles import Bound, Range

HALVINGS = 8
"""Of the common factor between 1 and 2: finer than any step of widths below 1,000 channels."""
Widths = dict[str, int]


def widest(graph: Graph, growing: GrowthSchedule) -> tuple[Graph, ...]:
    """The widest that the network can be after each growth, narrow to wide.

    Raises:
        BudgetError: no group can grow, or a floor is out of reach.
    """
    found = [graph]
    for _ in growing.stages:
        found.append(found[-1].with_widths(_widths(found[-1], 2.0, growing, growing.widths)))
    _check(graph, found[-1], growing)
    return tuple(found[1:])


def check_floors(graph: Graph, growing: GrowthSchedule, bounds: Sequence[Bound]) -> None:
    """Refuse floors that cost more than a limit allows.

    Raises:
        BudgetError: with the limit, and what the network costs at its floors.
    """
    least = graph.with_widths(
        {name: max(graph.groups[name].width, one.low or 0) for name, one in growing.widths.items()}
    )
    for bound in bounds if least.widths != graph.widths else ():
        cost, unit = bound.meter.cost(least).total, bound.meter.unit
        if cost > bound.limit:
            raise BudgetError(
                f"growth.widths: with every group at its floor the network costs "
                f"{spelled(cost, unit, 3)} of {bound.meter.name}, more than the limit of "
                f"{spelled(bound.limit, unit, 3)}; lower the floors or raise the limit"
            )


def filled(graph: Graph, growing: GrowthSchedule, targets: Sequence[Target]) -> tuple[Graph, ...]:
    """The network after each growth if widths grew alike until a limit is met, growth by growth.

    What growth will choose is another reshaping at about the same cost.
    """
    found = [graph]
    for number, target in enumerate(targets):
        wanted = growing.ranges(number, graph.widths)
        found.append(_grown(found[-1], graph, growing, stops(graph, target), wanted))
    return tuple(found[1:])


def parts(stages: Sequence[Graph], largest: Graph) -> tuple[Graph, ...]:
    """These networks as parts of the largest, which stands for the last."""
    cut = (
        one.with_widths({name: min(w, largest.widths[name]) for name, w in one.widths.items()})
        for one in stages[:-1]
    )
    return (*cut, largest)


def stops(graph: Graph, target: Target) -> tuple[Bound, ...]:
    """The limits at which a growth ends, its share of the way from the seed's cost."""
    own = [bound.meter.cost(graph).total for bound in target.bounds]
    return tuple(
        replace(b, limit=o + target.share * (b.limit - o))
        for b, o in zip(target.bounds, own, strict=True)
    )


def unreachable(bound: Bound, reach: Reach, *, front: bool = False) -> str | None:
    """The sentence on a limit that no growth of the recipe can fill; None for one that it can.

    Args:
        bound: the limit.
        reach: what the growths that lead to it can cost.
        front: whether other limits follow or came before.
    """
    if reach.at_least(bound.limit):
        return None
    top, _ = reach.climbed(bound.limit)
    name, unit = bound.meter.name, bound.meter.unit
    number = len(reach.graphs) - 1
    reached = "the growths of this recipe reach"
    if front:
        reached = f"growth {number} of this front reaches"
    advice = "put a limit before it" if front else "add stages"
    return (
        f"growth cannot fill the limit {name} {spelled(bound.limit, unit, 3)}: {reached} "
        f"{spelled(top, unit, 3)} at most, because a growth at most doubles a group of channels; "
        f"{advice} or begin with a wider seed"
    )


def _check(graph: Graph, top: Graph, growing: GrowthSchedule) -> None:
    if not graph.growable:
        raise BudgetError(
            "nothing can grow in this network: every channel group is frozen; easearch check says "
            "why"
        )
    step = growing.width_step
    if top.widths == graph.widths:
        raise BudgetError(
            f"nothing can grow in this network: no channel group reaches a wider multiple of "
            f"{step} by splitting every channel once, within its floor, ceiling and lock; say a "
            "smaller growth.width_step, begin with a wider seed, or allow more"
        )
    for name, one in growing.widths.items():
        if one.firm and (one.low or 0) > top.groups[name].width:
            raise BudgetError(
                f"growth.widths: the floor of {one.low} for '{name}' is out of reach: from "
                f"{graph.groups[name].width} channels, in steps of {step}, the growths of this "
                f"recipe reach {top.groups[name].width} at most; lower the floor or add stages"
            )


def _widths(
    graph: Graph, factor: float, growing: GrowthSchedule, wanted: Mapping[str, Range]
) -> Widths:
    """The widths nearest to `factor` times the present ones, of every group that can grow."""
    return {
        group.name: _nearest(graph, group.name, factor, growing.width_step, wanted)
        for group in graph.growable
    }


def _nearest(graph: Graph, name: str, factor: float, step: int, wanted: Mapping[str, Range]) -> int:
    """On the grid, within the range, and at most twice the present width; that where none is."""
    width, one, own = graph.groups[name].width, wanted.get(name, Range()), stride(graph, name, step)
    if one.fixed:
        return width
    top = 2 * width if one.high is None else min(2 * width, one.high)
    least = math.ceil((one.low or 0) / own)
    return max(width, min(max(int(factor * width / own + 0.5), least), top // own) * own)


def _grown(
    now: Graph,
    seed: Graph,
    growing: GrowthSchedule,
    bounds: Sequence[Bound],
    wanted: Mapping[str, Range],
) -> Graph:
    """The widths of `now` times one factor, as large as the bounds allow, and what room is left."""

    def keeps(graph: Graph) -> bool:
        # One after the other: a limit that is cheap to price spares the dear ones.
        return all(bound.meter.cost(graph).total <= bound.limit for bound in bounds)

    best, low, high = now, 1.0, 2.0
    caps = _widths(now, high, growing, wanted)
    if keeps(now.with_widths(caps)):
        return now.with_widths(caps)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        graph = now.with_widths(_widths(now, middle, growing, wanted))
        if graph.widths == best.widths or keeps(graph):
            low, best = middle, graph
        else:
            high = middle
    return _topped_up(best, caps, seed, growing.width_step, keeps)


def _topped_up(
    graph: Graph, caps: Widths, seed: Graph, step: int, keeps: Callable[[Graph], bool]
) -> Graph:
    """One step more for the group that has grown least, as long as some group can take one."""
    open_groups = {name for name, cap in caps.items() if graph.groups[name].width < cap}
    while open_groups:
        name = min(sorted(open_groups), key=lambda n: graph.groups[n].width / seed.groups[n].width)
        own = stride(graph, name, step)
        width = (graph.groups[name].width // own + 1) * own
        wider = graph.with_widths({name: width})
        if width <= caps[name] and keeps(wider):
            graph = wider
        else:
            open_groups.discard(name)
    return graph

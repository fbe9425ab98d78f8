"""The widest network of uniform widths that keeps its limits, measured as a whole where that can be
done.

All groups take the same multiple of the seed's widths, each rounded to the device's grid: what
anybody would do with a width multiplier, and the rival that growing has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from easearch.budget.utilization import measurable, share_of
from easearch.graph import Graph, stride
from easearch.roles import Bound, Range

MOST = 16.0
"""Times the seed's widths, at most."""
MISSES = 3
"""Networks in a row over a limit, after which no wider one is measured: latency is a staircase."""

Whole = Callable[[Graph], float]
"""The largest share of a limit that a network takes; 1: just met."""


@dataclass(frozen=True, kw_only=True)
class Widest:
    """Uniform widths within the limits."""

    widths: Mapping[str, int]
    factor: float
    """Least multiple of the seed's widths that rounds to these."""
    share: float
    """Of the limit that binds, as measured (with the margin) or counted."""


def widest_uniform(
    graph: Graph,
    bounds: Sequence[Bound],
    step: int,
    ranges: Mapping[str, Range] | None = None,
    *,
    measure: bool = True,
) -> Widest:
    """The widest of `uniform_ladder` that keeps every limit.

    Args:
        graph: the seed, which keeps them.
        bounds: the limits.
        step: the device's grid of widths.
        ranges: ceilings and locks by group.
        measure: whether latency is measured on the whole network; else it is predicted.
    """
    ladder = list(uniform_ladder(graph, bounds, step, ranges or {}))
    within = [number for number, one in enumerate(ladder) if predicted(one[1], bounds) <= 1]
    start = max(within, default=0)

    @cache  # a number may be disturbed and another the next time: one decision, one number
    def share(number: int) -> float:
        return max(share_of(bound, ladder[number][1], measure=measure) for bound in bounds)

    timed = measure and any(measurable(bound) for bound in bounds)
    best = _best(share, start, len(ladder)) if timed else start
    factor, wide = ladder[best]
    return Widest(widths=wide.widths, factor=factor, share=share(best))


def uniform_ladder(
    graph: Graph, bounds: Sequence[Bound], step: int, ranges: Mapping[str, Range]
) -> list[tuple[float, Graph]]:
    """(factor, network) of every different uniform network, the seed first, until one is predicted
    to take a third more than a limit allows.
    """
    found = [(1.0, graph)]
    for factor in _factors(graph, step):
        widths = {g.name: _width(graph, g.name, factor, step, ranges) for g in graph.growable}
        wider = graph.with_widths(widths)
        if wider.widths == found[-1][1].widths:
            continue
        found.append((factor, wider))
        if predicted(wider, bounds) > 4 / 3:
            break
    return found


def predicted(graph: Graph, bounds: Sequence[Bound]) -> float:
    """The largest share of a limit that the network is predicted to take."""
    return max((share_of(bound, graph, measure=False) for bound in bounds), default=0.0)


def _best(share: Callable[[int], float], start: int, count: int) -> int:
    """The widest that keeps its limits around the one that is predicted to; 0 where none does."""
    best = start
    while best > 0 and share(best) > 1:
        best -= 1
    misses = 0
    for number in range(max(best, start) + 1, count):
        if misses == MISSES:
            break
        if share(number) <= 1:
            best, misses = number, 0
        else:
            misses += 1
    return best


def _factors(graph: Graph, step: int) -> list[float]:
    """Every multiple at which some group takes its next width."""
    found: set[float] = set()
    for group in graph.growable:
        once = stride(graph, group.name, step) / group.width
        found |= {(k + 0.5) * once for k in range(int(MOST / once))}
    return sorted(factor for factor in found if factor > 1)


def _width(graph: Graph, name: str, factor: float, step: int, ranges: Mapping[str, Range]) -> int:
    """The multiple of the grid next to `factor` times the width (the upper of two), not below the
    seed's and not above the group's ceiling.
    """
    width, wanted, own = (
        graph.groups[name].width,
        ranges.get(name, Range()),
        stride(graph, name, step),
    )
    if wanted.fixed:
        return width
    wide = own * int(factor * width / own + 0.5 + 1e-9)
    if wanted.high is not None and wide > wanted.high:
        wide = wanted.high - wanted.high % own
    return max(width, wide)

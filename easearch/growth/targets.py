"""What every growth of a run goes towards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from easearch.graph import Graph
from easearch.roles import Bound, Range

Floors = Callable[[Sequence[Bound]], Mapping[str, int]]
"""Within these limits, the width that a group should have at least, by its name."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where one growth goes.

    Attributes:
        bounds: the limits.
        share: of the way from the seed's cost to them.
        product: whether the network of this size is one that the run delivers: it is then measured
            as a whole before it is trained, and chosen again if it would miss a limit.
    """

    bounds: Sequence[Bound]
    share: float = 1.0
    product: bool = True


def towards(bounds: Sequence[Bound], stages: Sequence[float]) -> list[Target]:
    """By these shares of the way to one set of limits, the last of which is delivered."""
    return [
        Target(bounds=bounds, share=share, product=number == len(stages) - 1)
        for number, share in enumerate(stages)
    ]


def raised(
    ranges: Mapping[str, Range], floors: Mapping[str, int], graph: Graph
) -> dict[str, Range]:
    """The ranges with these floors where theirs are lower: gone towards as far as candidates and
    limits allow.
    """
    found = dict(ranges)
    for group in graph.growable:
        own, low = found.get(group.name, Range()), floors.get(group.name, 0)
        if own.high is not None:
            low = min(low, own.high)
        if not own.fixed and low > max(own.low or 0, group.width):
            found[group.name] = replace(own, low=low, firm=False)
    return found

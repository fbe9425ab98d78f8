"""What a whole network takes of a limit: measured where that can be done, else priced."""

from __future__ import annotations

from easearch.budget.meters.latency import Latency
from easearch.graph import Graph
from easearch.roles import Bound

MARGIN = 1.02
"""A network is measured before it is trained: the exported file may be that much slower."""


def measurable(bound: Bound) -> bool:
    """Whether a network can be run to see what it takes of this limit."""
    return isinstance(bound.meter, Latency) and bound.meter.device.stopwatch is not None


def share_of(bound: Bound, graph: Graph, *, measure: bool = True) -> float:
    """Cost over limit (1: just met): measured as a whole, with the margin; predicted or counted
    where it cannot be measured, or need not be.
    """
    if measure and isinstance(bound.meter, Latency) and measurable(bound):
        return MARGIN * bound.meter.whole(graph)[0] / bound.limit
    return bound.meter.cost(graph).total / bound.limit

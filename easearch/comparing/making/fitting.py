"""Whether a network keeps its limits: measured as a whole where that can be done, else counted."""

from __future__ import annotations

from collections.abc import Sequence

from easearch.budget.utilization import measurable, share_of
from easearch.graph import Graph
from easearch.roles import Bound


def whole_share(graph: Graph, bounds: Sequence[Bound], *, far: float = float("inf")) -> float:
    """The largest share of a limit that a network takes, with the safety margin of measuring.

    Args:
        graph: the network.
        bounds: the limits.
        far: above this share of a limit a prediction is believed, and nothing is measured.
    """
    shares = [0.0]
    # One after the other: a limit that is cheap to price spares the dear ones.
    for bound in sorted(bounds, key=measurable):
        share = share_of(bound, graph, measure=False)
        if share <= far and measurable(bound):
            share = share_of(bound, graph)
        shares.append(share)
        if share > far:
            break
    return max(shares)

"""The items that a growing network can come to consist of: what a device's table has to hold."""

from __future__ import annotations

import math

from easearch.budget.latency.calibration import paid
from easearch.budget.latency.grid import TWO_WAYS, Point, levels, moved, point
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.rows import Item
from easearch.graph import Graph


def reachable(graph: Graph, step: int, reach: float) -> list[Item]:
    """Every item on the grid that the graph has between its widths and `reach` times these.

    Items off any grid (concatenations, attention) are there at the graph's own widths.
    """
    wide = graph.with_widths(
        {group.name: math.ceil(group.width * reach) for group in graph.growable}
    )
    found: dict[Item, None] = {}
    for names in paid(graph):
        here, there = shapes_of(graph, names), shapes_of(wide, names)
        start, end = point(here), point(there)
        if start is None or end is None:
            found[here] = None
            continue
        two_ways = here[0].kind in TWO_WAYS
        for outs in _between(start.outs, end.outs, step):
            for ins in _between(start.ins, end.ins, step) if two_ways else [outs]:
                found[moved(here, Point(ins, outs))] = None
    return list(found)


def _between(low: int, high: int, step: int) -> list[int]:
    return [low] if low == high else list(levels(low, high, step))

"""Traffic: the numbers that pass between memory and processor, as a graph and as a file have it.

Every item reads its inputs, writes its output, and reads its weights once; what a runtime fuses
(norm and activation behind a convolution) is not moved between. Views move nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from easearch.budget.latency.kernels import is_free, kernels, shapes_of
from easearch.budget.latency.models import input_shapes
from easearch.budget.meters.size import Size
from easearch.graph import Graph, Shape
from easearch.roles import Item
from easearch.tracing import KINDS
from easearch.tracing.walk import OPAQUE

NUMBER = {"fp32": 4, "int8": 1}
"""Bytes a number of a map."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What one inference computes and moves."""

    macs: Mapping[str, float]
    """Multiply-adds by precision."""
    nbytes: float


def moving(graph: Graph) -> list[Item]:
    """The items that move anything, in the order of execution; opaque ones are left out."""
    items = [item for item in kernels(graph) if graph.by_name[item[0]].kind != OPAQUE]
    return [item for item in items if not is_free(shapes_of(graph, item))]


def item_traffic(item: tuple[Shape, ...], precision: str) -> Traffic:
    """Of one item, at the shapes given."""
    numbers = sum(math.prod(size) for size in input_shapes(item[0])) + math.prod(item[-1].out_shape)
    return Traffic(
        macs={precision: float(sum(KINDS[shape.kind].macs(shape) for shape in item))},
        nbytes=float(NUMBER[precision] * numbers + Size(precision=precision).stored(item)),
    )


def graph_traffic(graph: Graph, precision: str) -> Traffic:
    """Of a whole graph."""
    parts = [item_traffic(shapes_of(graph, item), precision) for item in moving(graph)]
    return Traffic(
        macs={precision: sum(part.macs[precision] for part in parts)},
        nbytes=sum(part.nbytes for part in parts),
    )

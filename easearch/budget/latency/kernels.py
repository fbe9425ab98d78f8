"""Which layers a runtime executes as one: a convolution with norm and activation behind it."""

from __future__ import annotations

from easearch.graph import Graph, Shape
from easearch.roles import Item
from easearch.tracing.walk import INPUT

MATRIX_KINDS = (*("conv", "depthwise", "grouped", "transposed", "transposed_depthwise", "linear"),)
"""Kinds that take in a norm (folded into weight and bias) and an activation.

As ONNX Runtime 1.31 was seen to do with Conv and ConvTranspose over one, two and three axes.
"""
VIEWS = ("identity", "flatten", "reshape")
"""Kinds that move no numbers."""
FREE = (INPUT, "constant", *VIEWS)
"""Kinds that cost a runtime nothing."""
FOLLOWERS = ("batch_norm", "activation")


def kernels(graph: Graph) -> list[Item]:
    """The graph's layers as items, each executed as one, in the order of execution.

    A convolution, depthwise convolution or linear layer, then a batch norm, then an activation,
    each the only consumer of the one before, are one item; every other layer is an item by
    itself.
    """
    items: list[Item] = []
    taken: set[str] = set()
    for layer in graph.layers:
        if layer.name not in taken:
            item = _fused(graph, layer.name)
            taken.update(item)
            items.append(item)
    return items


def folded(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """An item's shapes as executed: without the norms that its convolution takes in."""
    head, *rest = shapes
    if head.kind in MATRIX_KINDS:
        rest = [shape for shape in rest if shape.kind != "batch_norm"]
    return (head, *rest)


def _fused(graph: Graph, head: str) -> Item:
    item = [head]
    if graph.by_name[head].kind in MATRIX_KINDS:
        for kind in FOLLOWERS:
            users = graph.consumers[item[-1]]
            if len(users) == 1 and graph.by_name[users[0]].kind == kind:
                item.append(users[0])
    return tuple(item)


def shapes_of(graph: Graph, item: Item) -> tuple[Shape, ...]:
    """The shapes of an item's layers, at the graph's own widths."""
    return tuple(graph.shape(name) for name in item)

"""Which layers a runtime executes as one: a convolution with norm and activation behind it."""

from __future__ import annotations

from easearch.graph import Graph, Shape
from easearch.roles import Item
from easearch.tracing.training_only import evaluated
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


def does_nothing(shape: Shape) -> bool:
    """Whether a layer gives what it takes: dropout, a copy, a view of the same sizes, `1 * x`.

    Exporters leave such layers out, so that a runtime fuses what stands before with what stands
    behind.
    """
    if shape.kind == "permute":
        return tuple(shape["order"]) == tuple(range(len(shape["order"])))
    if shape.kind == "concat":
        return bool(shape["inputs"] == 1)
    if shape.kind in VIEWS:
        return shape.kind == "identity" or shape.in_shape == shape.out_shape
    return any(option == ("neutral", True) for option in shape.options)


def is_free(shapes: tuple[Shape, ...]) -> bool:
    """Whether a runtime has nothing to do for an item."""
    return all(shape.kind in FREE or does_nothing(shape) for shape in shapes)


def kernels(graph: Graph) -> list[Item]:
    """The graph's layers as items, each executed as one, in the order of execution.

    A convolution, depthwise convolution or linear layer, then a batch norm, then an activation,
    each the only consumer of the one before but for layers that do nothing, are one item; every
    other layer is an item by itself.
    """
    graph = evaluated(graph)
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
            user = _only_user(graph, item[-1])
            if user is not None and graph.by_name[user].kind == kind:
                item.append(user)
    return tuple(item)


def _only_user(graph: Graph, name: str) -> str | None:
    """The one layer that takes a layer's output, by way of any that do nothing."""
    users = graph.consumers[name]
    while len(users) == 1 and graph.consumers[users[0]] and does_nothing(graph.shape(users[0])):
        users = graph.consumers[users[0]]
    return users[0] if len(users) == 1 else None


def shapes_of(graph: Graph, item: Item) -> tuple[Shape, ...]:
    """The shapes of an item's layers, at the graph's own widths."""
    return tuple(graph.shape(name) for name in item)

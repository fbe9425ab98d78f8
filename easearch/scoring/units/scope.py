"""What a scope takes in: the layers of a group's part, where it is left, what is summed there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, fx, nn

from easearch.graph import ChannelGroup, Graph, Layer, offsets_in
from easearch.scoring.samples.capture import Edge
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.rows import Rows
from easearch.tracing.in_place import asks_for_form

Scope = Literal["unit", "rows", "layer"]
"""How far a channel is followed, and what of it may move: "unit", to its linear readers, over all
that it owns; "rows", as far, over its rows in the writers' weights alone; "layer", as published, to
the writer's own activation, over the same rows.
"""


def subgraph(graph: Graph, group: ChannelGroup, scope: Scope) -> Iterator[Layer]:
    """The layers that the scope takes in, in the order of execution."""
    members = {*group.writers, *group.followers}
    if scope == "layer":
        members = {name for writer in group.writers for name in _published_chain(graph, writer)}
    yield from (layer for layer in graph.layers if layer.name in members)


def _published_chain(graph: Graph, writer: str) -> Iterator[str]:
    """A writer, its norm, its own activation: where the published code takes `u` [Liu2019]."""
    yield writer
    name = writer
    while len(graph.consumers[name]) == 1:
        (name,) = graph.consumers[name]
        kind = graph.by_name[name].kind
        if kind not in ("batch_norm", "activation"):
            return
        yield name
        if kind == "activation":
            return


def owned(model: nn.Module, graph: Graph, group: ChannelGroup) -> Rows:
    """The parameters' rows that a group's channels own."""
    return Rows(model, graph, group, subgraph(graph, group, "unit"))


def exits(
    graph: Graph, group: ChannelGroup, scope: Scope, layers: tuple[Layer, ...], wires: TracedProgram
) -> Iterator[Edge]:
    """Layer scope: the end of every writer's chain. Else every reader's input edges."""
    inside = {layer.name for layer in layers}
    if scope == "layer":
        ends = (
            layer.name for layer in layers if not inside.intersection(graph.consumers[layer.name])
        )
        yield from ((name, "") for name in ends)
        return
    edges = (
        (source, wires.names[consumer])
        for reader in group.readers
        for source, consumer in into(graph, wires, wires.node(graph.by_name[reader]))
        if source in inside and not asks_for_form(consumer)
    )
    # Of a call with several results every result is a reader, and all come by one edge.
    yield from dict.fromkeys(edges)


def into(graph: Graph, wires: TracedProgram, node: fx.Node) -> Iterator[tuple[str, fx.Node]]:
    """(source, node that takes it) of every edge from a layer that leads to this one, through
    nodes that are none; of an input that is no tensor as well.
    """
    for source in node.all_input_nodes:
        name = wires.names[source]
        if name in graph.by_name or source.op == "placeholder":
            yield name, node
        elif source.op != "get_attr":
            yield from into(graph, wires, source)


def per_channel(
    inner: Tensor, graph: Graph, layer: Layer, group: ChannelGroup, by_sample: bool = False
) -> Tensor:
    """Sum over all but the group's channels in a value of the layer's shape: (1, C); (N, C) if
    `by_sample`, where samples are along the first axis.
    """
    axis, first = layer.out_axis, 1 if by_sample else 0
    over = [other for other in range(first, inner.dim()) if other != axis]
    columns = inner.sum(dim=over) if over else inner
    if not by_sample:
        columns = columns[None]
    total = columns.new_zeros(len(columns), group.width)
    for segment, start in offsets_in(graph, layer.writes):
        if segment.group == group.name:
            block = columns[:, start : start + group.width * segment.taps]
            total = total + block.reshape(len(block), group.width, segment.taps).sum(2)
    return total

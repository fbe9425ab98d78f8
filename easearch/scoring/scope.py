"""What a scope takes in: the layers of a group's part, where it is left, what its channels own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from easearch.graph import ChannelGroup, Graph, Layer, Layout, offsets_in
from easearch.scoring.capture import Edge
from easearch.tracing import KINDS

Scope = Literal["unit", "layer"]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A stretch of rows, along axis 0, of one parameter: what the group's channels own of it."""

    layer: str
    tensor: str
    start: int
    taps: int

    @property
    def key(self) -> str:
        """The parameter's full name."""
        return f"{self.layer}.{self.tensor}"


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


def exits(
    graph: Graph, group: ChannelGroup, scope: Scope, layers: tuple[Layer, ...]
) -> Iterator[Edge]:
    """Unit scope: every reader's input edge. Layer scope: the end of every writer's chain."""
    if scope == "layer":
        inside = {layer.name for layer in layers}
        ends = (
            layer.name for layer in layers if not inside.intersection(graph.consumers[layer.name])
        )
        yield from ((name, "") for name in ends)
        return
    inside = {*group.writers, *group.followers}
    for reader in group.readers:
        yield from ((source, reader) for source in graph.by_name[reader].inputs if source in inside)


def owned(
    model: nn.Module, graph: Graph, group: ChannelGroup, scope: Scope, layers: tuple[Layer, ...]
) -> Iterator[Slot]:
    """The rows of parameters that the group's channels own, as far as the scope goes."""
    for layer in layers:
        kind = KINDS[layer.kind]
        if scope == "layer" and layer.name not in group.writers:
            continue
        # As published, a layer's own splitting matrix is over its weights alone.
        tensors = ("weight",) if scope == "layer" else tuple(kind.out_axes)
        for segment, start in offsets_in(graph, layer.writes):
            if segment.group != group.name or not kind.out_axes:
                continue
            for tensor in tensors:
                held = getattr(model.get_submodule(layer.name), tensor, None)
                if isinstance(held, nn.Parameter):
                    yield Slot(layer=layer.name, tensor=tensor, start=start, taps=segment.taps)


def per_channel(inner: Tensor, graph: Graph, layout: Layout, group: ChannelGroup) -> Tensor:
    """Sum (N, columns, ...) over all but the group's channels: (C,)."""
    columns = inner.sum(dim=[axis for axis in range(inner.dim()) if axis != 1])
    total = columns.new_zeros(group.width)
    for segment, start in offsets_in(graph, layout):
        if segment.group == group.name:
            block = columns[start : start + group.width * segment.taps]
            total = total + block.reshape(group.width, segment.taps).sum(1)
    return total

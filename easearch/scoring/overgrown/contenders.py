"""What an over-grown network holds: a split of every channel, new neurons, new layers.

Splits go along `+-delta`, so that their numbers are one offset a channel. A new neuron resembles
the channels that are there: random directions as long as theirs are, and what is one number a
channel (biases, norms) as one of them has it, drawn at random; its columns begin at zero. So does a
new layer's second half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from easearch.deepening import ACTIVATIONS, NewLayer
from easearch.errors import GraphError
from easearch.graph import ChannelGroup, Graph, Layer, Layout
from easearch.moves import Move, NewNeuron, Offset, Split
from easearch.scoring.overgrown.pool import Block, Piece
from easearch.scoring.units.rows import Rows, Slot, Table, numbers_in, stretches
from easearch.tracing import KINDS, Role


def columns(model: nn.Module, graph: Graph, group: ChannelGroup) -> Table:
    """The columns of a group's channels in the parameters of those who read them."""
    read = ((layer, layer.reads) for layer in graph.layers)
    return _table(graph, group, read, "columns", dict(model.named_parameters()))


def statistics(model: nn.Module, graph: Graph, group: ChannelGroup) -> Table:
    """The buffers with a number for each of a group's channels: what norms have measured."""
    buffers = {k: b for k, b in model.named_buffers() if b.is_floating_point()}
    written = ((layer, layer.writes) for layer in graph.layers)
    return _table(graph, group, written, "rows", buffers)


def _table(
    graph: Graph,
    group: ChannelGroup,
    layouts: Iterable[tuple[Layer, Layout]],
    axis: Literal["rows", "columns"],
    tensors: Mapping[str, Tensor],
) -> Table:
    slots: dict[str, Slot] = {}
    for layer, layout in layouts:
        found = stretches(graph, layout, group)
        for held in layer.tensors if found else ():
            number = held.rows if axis == "rows" else held.columns
            if number is not None and held.path in tensors:
                slots.setdefault(held.path, Slot(key=held.path, axis=number, stretches=found))
    return Table(group.width, tuple(slots.values()), tensors)


def splits(group: ChannelGroup, rows: Rows, step: float, generator: Generator) -> Block:
    """A split in two halves of every channel, in a random direction."""
    theta = rows.theta
    unit = step * theta.norm(dim=1, keepdim=True) / theta.shape[1] ** 0.5

    def build(numbers: Tensor) -> list[Move]:
        return [
            Split(group=group.name, channel=c, offsets=(rows.offset(own), rows.offset(-own)))
            for c, own in enumerate(numbers)
        ]

    start = _normal(theta.shape, generator, theta)
    return Block(place=group.name, pieces=(Piece(start=start, unit=unit, gated=True),), build=build)


def neurons(
    group: ChannelGroup,
    rows: Rows,
    norms: Table,
    out: Table,
    number: int,
    step: float,
    generator: Generator,
) -> Block:
    """New neurons; their columns may get as long as `step` times the typical channel's."""
    like = torch.randint(group.width, (number,), generator=generator)
    pieces = [
        _resembling(own, like, single, generator)
        for own, single in _by_slot(rows, rows.theta if rows.slots else None)
    ]
    if norms.slots:
        there = norms.theta
        one = there.new_ones(number, 1)
        pieces.append(Piece(start=there[like.to(there.device)], unit=one, bounded=False))
    there = out.theta
    bound = step * _typical(there) / there.shape[1] ** 0.5
    pieces.append(
        Piece(
            start=there.new_zeros(number, there.shape[1]),
            unit=bound.expand(number, 1),
            gated=True,
        )
    )
    parts = [stretch for stretch in (rows, norms, out) if stretch.slots]
    sizes = [stretch.theta.shape[1] for stretch in parts]

    def build(numbers: Tensor) -> list[Move]:
        found: list[Move] = []
        for own in numbers:
            offsets = [p.offset(n) for p, n in zip(parts, own.split(sizes), strict=True)]
            into: Offset = {key: value for one in offsets[:-1] for key, value in one.items()}
            found.append(NewNeuron(group=group.name, into=into, out=offsets[-1]))
        return found

    return Block(place=group.name, pieces=tuple(pieces), build=build)


def layers(
    graph: Graph, number: int | None, most: int, step: float, like: Tensor, generator: Generator
) -> Iterator[Block]:
    """A new layer behind every value that a reader takes, its neurons the candidates.

    Where several values of a channel-wise chain could have one, it stands at the chain's end.
    """
    activation = _activation(graph)
    grown = graph
    for layer in graph.layers:
        if not any(KINDS[graph.by_name[c].kind].role is Role.MIXES for c in _users(graph, layer)):
            continue
        channels = graph.channels(layer.writes)
        conv = layer.out_axis == 1 and 1 <= len(layer.out_size) <= 3
        move = NewLayer(
            behind=layer.name,
            layer="conv" if conv else "linear",
            hidden=number or min(channels, most),
            activation=activation,
        )
        try:
            grown = move.inserted(grown)
        except GraphError:  # it says why; a place that is none is no candidate
            continue
        kernel = (move.kernel,) * len(layer.out_size) if conv else ()
        yield _layer(move, (channels, *kernel), step, like, generator)


def _layer(
    move: NewLayer, shape: tuple[int, ...], step: float, like: Tensor, generator: Generator
) -> Block:
    """Rows and biases as long as 1, which keeps the size of what comes in; columns as long as
    `step` of the identity's beside which they stand.
    """
    number, length = move.hidden or shape[0], int(torch.Size(shape).numel())
    one = like.new_ones(number, 1)
    pieces = (
        Piece(start=_normal((number, length), generator, like), unit=one / length**0.5),
        Piece(start=like.new_zeros(number, 1), unit=one),
        Piece(start=like.new_zeros(number, length), unit=step * one / length**0.5, gated=True),
    )

    def build(numbers: Tensor) -> list[Move]:
        row, bias, column = torch.split(numbers, [length, 1, length], dim=1)
        into = {"weight": row.reshape(-1, *shape), "bias": bias[:, 0]}
        out = {"weight": column.reshape(-1, *shape).movedim(0, 1)}
        return [replace(move, hidden=len(numbers), into=into, out=out)]

    return Block(place=move.behind, pieces=pieces, build=build, deepens=True)


def _users(graph: Graph, layer: Layer) -> tuple[str, ...]:
    return graph.consumers[layer.name] if layer.writes else ()


def _activation(graph: Graph) -> str:
    """The one that the network has most of, among those that a new layer may have."""
    found = (str(dict(x.options)["function"]) for x in graph.layers if x.kind == "activation")
    known = Counter(name for name in found if name in ACTIVATIONS)
    return max(known, key=lambda name: known[name]) if known else "relu"


def _by_slot(rows: Rows, theta: Tensor | None) -> Iterator[tuple[Tensor, bool]]:
    """(C, d) of every parameter, and whether it is one number a row."""
    if theta is None:
        return
    sizes = [numbers_in(slot, rows.held[slot.key]) for slot in rows.slots]
    for slot, own in zip(rows.slots, torch.split(theta, sizes, dim=1), strict=True):
        yield own, rows.held[slot.key].dim() == 1


def _resembling(own: Tensor, like: Tensor, single: bool, generator: Generator) -> Piece:
    """Rows in a random direction, as long as the channels' are; single numbers as they are."""
    bound = _typical(own).expand(len(like), 1) / own.shape[1] ** 0.5
    if not single:
        start = _normal((len(like), own.shape[1]), generator, own)
        return Piece(start=start / _rms(start), unit=bound)
    copied = own[like.to(own.device)]
    unit = torch.maximum(bound, _rms(copied))
    return Piece(start=torch.where(unit > 0, copied / unit, 0.0), unit=unit)


def _typical(own: Tensor) -> Tensor:
    """(1, 1): the root mean square over channels of the length of what they have."""
    return own.square().sum(1).mean().sqrt().view(1, 1)


def _rms(rows: Tensor) -> Tensor:
    return rows.square().mean(1, keepdim=True).sqrt()


def _normal(shape: tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(like)

"""Where every channel of a grown group comes from, and how a tensor's axis follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from easearch.errors import GraphError
from easearch.graph import Graph, Layout, offsets_in
from easearch.moves import Move, NewNeuron, Offset, Split

NEWBORN = -1


@dataclass
class Lineage:
    """A group after its moves: each channel's parent and share of the parent's columns."""

    parents: list[int]
    shares: list[float]
    displaced: list[tuple[int, Offset]] = field(default_factory=list)
    """(channel, offset): what is added to the channel's own slices; a newborn's slices themselves.
    """
    connected: list[tuple[int, Offset]] = field(default_factory=list)
    """(newborn channel, its columns in the readers)."""
    parted: set[int] = field(default_factory=set)
    """Channels that have been split."""

    @property
    def width(self) -> int:
        """The group's new width."""
        return len(self.parents)

    def split(self, move: Split) -> None:
        """The first offspring stays, the others are appended."""
        if move.channel in self.parted:
            raise GraphError(
                f"channel {move.channel} of '{move.group}' is split twice; "
                "use one Split with more shares"
            )
        self.parted.add(move.channel)
        places = [move.channel, *range(self.width, self.width + move.added)]
        self.shares[move.channel] = move.shares[0]
        self.parents += [move.channel] * move.added
        self.shares += move.shares[1:]
        self.displaced += zip(places, move.offsets, strict=False)

    def give_birth(self, move: NewNeuron) -> None:
        """Append a channel without a parent."""
        self.displaced.append((self.width, move.into))
        self.connected.append((self.width, move.out))
        self.parents.append(NEWBORN)
        self.shares.append(1.0)


def lineages(graph: Graph, moves: Sequence[Move]) -> dict[str, Lineage]:
    """The lineage of every group that the moves touch."""
    found: dict[str, Lineage] = {}
    for move in moves:
        width = graph.group(move.group).width
        line = found.setdefault(move.group, Lineage(list(range(width)), [1.0] * width))
        if isinstance(move, Split):
            line.split(move)
        else:
            line.give_birth(move)
    return found


def resizing(graph: Graph, widths: Mapping[str, int]) -> dict[str, Lineage]:
    """Lineages that bring groups to the given widths, whatever the channels then hold."""
    return {
        name: Lineage(
            [channel % graph.groups[name].width for channel in range(width)], [1.0] * width
        )
        for name, width in widths.items()
        if width != graph.groups[name].width
    }


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a tensor, as it follows the lineages of the groups laid out along it."""

    number: int
    before: int
    """How many columns there were."""
    index: Tensor
    """The old column of every new one; NEWBORN where there is none."""
    share: Tensor
    blocks: tuple[tuple[Lineage, int, int], ...]
    """(lineage, new start, taps) of every group along the axis that changes."""

    def gather(self, old: Tensor, *, born: float, shared: bool = False) -> Tensor:
        """Every new column from its parent's, times its share if asked; newborn ones filled with
        `born`.
        """
        index = self.index.to(old.device)
        new = old.index_select(self.number, index.clamp(min=0))
        along = [1] * new.dim()
        along[self.number] = -1
        if shared:
            new = new * self.share.to(old).view(along)
        return new.masked_fill_((index == NEWBORN).view(along), born)

    def displace(self, new: Tensor, key: str) -> None:
        """Add every channel's offset to its own slice of the tensor called `key`."""
        for line, start, taps in self.blocks:
            for channel, offset in line.displaced:
                if key in offset:
                    place = new.narrow(self.number, start + channel * taps, taps)
                    if line.parents[channel] == NEWBORN:
                        place.zero_()
                    place.add_(_fitting(offset[key], place, key))

    def connect(self, new: Tensor, key: str, rows: Axis | None) -> None:
        """Write the newborn channels' columns, given for the old rows."""
        for line, start, taps in self.blocks:
            for channel, out in line.connected:
                if key not in out:
                    continue
                place = new.narrow(self.number, start + channel * taps, taps)
                if rows is None:
                    place.copy_(_fitting(out[key], place, key))
                else:
                    shape = list(place.shape)
                    shape[rows.number] = rows.before
                    place.copy_(rows.gather(out[key].reshape(shape).to(place), born=0.0))


def axis_of(
    graph: Graph, layout: Layout, number: int, changed: Mapping[str, Lineage]
) -> Axis | None:
    """The axis over a value with this layout; None when no group along it changes."""
    if not any(segment.group in changed for segment in layout):
        return None
    index: list[int] = []
    share: list[float] = []
    blocks: list[tuple[Lineage, int, int]] = []
    for segment, start in offsets_in(graph, layout):
        width, taps = graph.groups[segment.group].width, segment.taps
        line = changed.get(segment.group)
        if line is not None:
            blocks.append((line, len(index), taps))
        parents = line.parents if line else range(width)
        shares = line.shares if line else [1.0] * width
        for parent, part in zip(parents, shares, strict=True):
            first = start + parent * taps
            index += [NEWBORN] * taps if parent == NEWBORN else range(first, first + taps)
            share += [part] * taps
    return Axis(
        number=number,
        before=graph.channels(layout),
        index=torch.tensor(index),
        share=torch.tensor(share, dtype=torch.float64),
        blocks=tuple(blocks),
    )


def _fitting(value: Tensor, place: Tensor, key: str) -> Tensor:
    if value.numel() != place.numel():
        raise GraphError(
            f"expected {place.numel()} numbers for a channel of '{key}', got {value.numel()}"
        )
    return value.reshape(place.shape).to(place)

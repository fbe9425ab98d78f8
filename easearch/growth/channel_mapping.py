"""Where every channel of a changed group comes from, and how a tensor's axis follows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from easearch.errors import GraphError
from easearch.graph import Graph, Layout, Segment, offsets_in
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
    inherited: list[tuple[int, int, float]] = field(default_factory=list)
    """(channel, removed old channel, share): columns that are added to a twin's."""

    @property
    def width(self) -> int:
        """The group's new width."""
        return len(self.parents)

    def split(self, move: Split) -> None:
        """The first offspring stays, the others are appended."""
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

    def remove(self, gone: Iterable[int], heirs: Mapping[int, int]) -> None:
        """Take old channels away, after all else; a twin's offspring share what it inherits."""
        left = set(gone)
        stay = [channel for channel in range(self.width) if channel not in left]
        place = {channel: number for number, channel in enumerate(stay)}
        self.parents = [self.parents[channel] for channel in stay]
        self.shares = [self.shares[channel] for channel in stay]
        self.displaced = [(place[channel], offset) for channel, offset in self.displaced]
        self.connected = [(place[channel], out) for channel, out in self.connected]
        offspring: dict[int, list[int]] = {}
        for channel, parent in enumerate(self.parents):
            offspring.setdefault(parent, []).append(channel)
        self.inherited = [
            (channel, removed, self.shares[channel])
            for removed, heir in heirs.items()
            for channel in offspring[heir]
        ]


def lineages(
    graph: Graph, moves: Sequence[Move], heirs: Mapping[str, Mapping[int, int]] | None = None
) -> dict[str, Lineage]:
    """The lineage of every group that the moves touch.

    Args:
        graph: the graph before the moves.
        moves: those on new layers are passed over.
        heirs: group -> removed channel -> the twin among those that stay.
    """
    found: dict[str, Lineage] = {}
    removed: dict[str, list[int]] = {}
    for move in moves:
        if move.deepens:
            continue
        width = graph.group(move.group).width
        line = found.setdefault(move.group, Lineage(list(range(width)), [1.0] * width))
        if isinstance(move, Split):
            line.split(move)
        elif isinstance(move, NewNeuron):
            line.give_birth(move)
        else:
            removed.setdefault(move.group, []).extend(move.channels)
    for group, gone in removed.items():
        found[group].remove(gone, (heirs or {}).get(group, {}))
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
    inherited: tuple[Tensor, Tensor, Tensor] | None
    """New columns, the removed old ones that are added to them, and their shares."""
    blocks: tuple[tuple[Lineage, tuple[tuple[int, int], ...]], ...]
    """Every lineage along the axis with the (new start, taps) of each of its places."""

    def gather(self, old: Tensor, *, born: float, shared: bool = False) -> Tensor:
        """Every new column from its parent's, times its share if asked; newborn ones filled with
        `born`.
        """
        index = self.index.to(old.device)
        new = old.index_select(self.number, index.clamp(min=0))
        along = [1] * new.dim()
        along[self.number] = -1
        if shared and bool((self.share != 1).any()):
            new.mul_(self.share.to(new).view(along))
        if bool((self.index == NEWBORN).any()):
            new.masked_fill_((index == NEWBORN).view(along), born)
        if shared and self.inherited is not None:
            places, gone, share = self.inherited
            more = old.index_select(self.number, gone.to(old.device))
            more.mul_(share.to(new).view(along))
            new.index_add_(self.number, places.to(old.device), more)
        return new

    def displace(self, new: Tensor, key: str) -> None:
        """Add every channel's offset to its own slices of the tensor called `key`."""
        for line, places in self.blocks:
            for channel, offset in line.displaced:
                if key in offset:
                    self._put(
                        new, channel, places, offset[key], key, line.parents[channel] != NEWBORN
                    )

    def connect(self, new: Tensor, key: str, rows: Axis | None) -> None:
        """Write the newborn channels' columns, given for the old rows."""
        for line, places in self.blocks:
            for channel, out in line.connected:
                if key not in out:
                    continue
                value = out[key]
                if rows is not None:
                    shape = list(new.shape)
                    shape[self.number] = sum(taps for _, taps in places)
                    shape[rows.number] = rows.before
                    value = rows.gather(_fitting(value, shape, key).to(new), born=0.0)
                self._put(new, channel, places, value, key, False)

    def _put(
        self,
        new: Tensor,
        channel: int,
        places: Sequence[tuple[int, int]],
        value: Tensor,
        key: str,
        add: bool,
    ) -> None:
        """Write or add a channel's slices, which are given place after place."""
        shape = list(new.shape)
        shape[self.number] = sum(taps for _, taps in places)
        value = _fitting(value, shape, key).to(new)
        read = 0
        for start, taps in places:
            place = new.narrow(self.number, start + channel * taps, taps)
            part = value.narrow(self.number, read, taps)
            read += taps
            if add:
                place.add_(part)
            else:
                place.copy_(part)


def axis_of(
    graph: Graph, layout: Layout, number: int, changed: Mapping[str, Lineage]
) -> Axis | None:
    """The axis over a value with this layout; None when no group along it changes."""
    if not any(segment.group in changed for segment in layout):
        return None
    index: list[Tensor] = []
    share: list[Tensor] = []
    inherited: list[tuple[Tensor, Tensor, Tensor]] = []
    blocks: dict[str, list[tuple[int, int]]] = {}
    new_start = 0
    for segment, start in offsets_in(graph, layout):
        line = changed.get(segment.group)
        if line is None:
            line = Lineage(*_still(graph.groups[segment.group].width))
        else:
            blocks.setdefault(segment.group, []).append((new_start, segment.taps))
        index.append(_columns(line.parents, start, segment))
        share.append(torch.tensor(line.shares, dtype=torch.float64).repeat_interleave(segment.taps))
        if line.inherited:
            places, gone, parts = zip(*line.inherited, strict=True)
            inherited.append(
                (
                    _columns(places, new_start, segment),
                    _columns(gone, start, segment),
                    torch.tensor(parts, dtype=torch.float64).repeat_interleave(segment.taps),
                )
            )
        new_start += line.width * segment.taps
    return Axis(
        number=number,
        before=graph.channels(layout),
        index=torch.cat(index),
        share=torch.cat(share),
        inherited=_joined(inherited),
        blocks=tuple((changed[name], tuple(places)) for name, places in blocks.items()),
    )


def _joined(
    parts: Sequence[tuple[Tensor, Tensor, Tensor]],
) -> tuple[Tensor, Tensor, Tensor] | None:
    if not parts:
        return None
    places, gone, share = (torch.cat(part) for part in zip(*parts, strict=True))
    return places, gone, share


def _still(width: int) -> tuple[list[int], list[float]]:
    return list(range(width)), [1.0] * width


def _columns(channels: Sequence[int], start: int, segment: Segment) -> Tensor:
    """The columns of channels in a stretch that begins at `start`; NEWBORN ones have none."""
    of = torch.tensor(channels, dtype=torch.long)[:, None]
    columns = start + of * segment.taps + torch.arange(segment.taps)
    return torch.where(of == NEWBORN, NEWBORN, columns).flatten()


def _fitting(value: Tensor, shape: Sequence[int], key: str) -> Tensor:
    expected = math.prod(shape)
    if value.numel() != expected:
        raise GraphError(
            f"expected {expected} numbers for a channel of '{key}', got {value.numel()}"
        )
    return value.reshape(tuple(shape))


def memory_format(old: Tensor) -> torch.memory_format:
    """Channels last where the old tensor's strides say so, even if sizes of 1 leave it open."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(old.dim())
    plain = torch.empty(old.shape, device="meta").stride()
    if last is None or old.stride() == plain or not old.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last

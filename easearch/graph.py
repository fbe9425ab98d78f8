"""The network as shapes only: layers, and the groups of channels that must keep one width.

Pure data. `graph.after(moves)` and every price are arithmetic on it, no tensor is touched.

A value between two layers is described by its *layout*: which groups its channels belong to, in
order, and how many columns (`taps`) each channel takes there (more than one behind a flatten).
Widths live in the groups alone, so growing a graph changes groups and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from easearch.errors import GraphError, nearest

if TYPE_CHECKING:
    from easearch.moves import Move


@dataclass(frozen=True)
class Segment:
    """A stretch of a value's channel axis: every channel of `group`, `taps` columns each."""

    group: str
    taps: int = 1


Layout = tuple[Segment, ...]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One layer with numbers filled in: all that its work, size and latency depend on. Hashable."""

    kind: str
    in_channels: int
    out_channels: int
    in_size: tuple[int, ...]
    out_size: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, option: str) -> Any:
        """The option of that name (`shape["kernel"]`)."""
        return dict(self.options)[option]

    @property
    def positions(self) -> int:
        """Output positions a channel (1 for a vector)."""
        return math.prod(self.out_size)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One operation of the network, without widths: those are its groups'."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    reads: Layout
    writes: Layout
    in_size: tuple[int, ...] = ()
    out_size: tuple[int, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups whose widths this layer's shape depends on, each once."""
        return tuple(dict.fromkeys(s.group for s in self.reads + self.writes))


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Channels of several layers that must keep one width.

    `writers` produce them (output rows), `followers` carry them channel by channel, `readers` mix
    them (input columns). `frozen` is None, or the reason, as a sentence, why the group cannot grow.
    """

    name: str
    width: int
    writers: tuple[str, ...]
    followers: tuple[str, ...]
    readers: tuple[str, ...]
    frozen: str | None = None


@dataclass(frozen=True)
class Graph:
    """Layers in the order of execution, and the channel groups on them. Compares by value."""

    layers: tuple[Layer, ...]
    channel_groups: tuple[ChannelGroup, ...]

    @cached_property
    def groups(self) -> Mapping[str, ChannelGroup]:
        """The channel groups by name."""
        return MappingProxyType({group.name: group for group in self.channel_groups})

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return MappingProxyType({layer.name: layer for layer in self.layers})

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """For every layer, the layers that take its output."""
        found: dict[str, list[str]] = {layer.name: [] for layer in self.layers}
        for layer in self.layers:
            for source in layer.inputs:
                found[source].append(layer.name)
        return MappingProxyType({name: tuple(users) for name, users in found.items()})

    @property
    def widths(self) -> dict[str, int]:
        """Width of every group."""
        return {group.name: group.width for group in self.channel_groups}

    @property
    def growable(self) -> tuple[ChannelGroup, ...]:
        """The groups that are not frozen."""
        return tuple(group for group in self.channel_groups if group.frozen is None)

    def group(self, name: str) -> ChannelGroup:
        """The group of that name; an unknown name is an error that says the nearest known one."""
        try:
            return self.groups[name]
        except KeyError:
            known = nearest(name, self.groups)
            raise GraphError(f"the graph has no channel group '{name}'; {known}") from None

    def channels(self, layout: Layout, widths: Mapping[str, int] | None = None) -> int:
        """Columns of a value with this layout, at the graph's own widths or at those given."""
        given = widths or {}
        return sum(given.get(s.group, self.groups[s.group].width) * s.taps for s in layout)

    def shape(self, layer: str, widths: Mapping[str, int] | None = None) -> Shape:
        """The layer with its numbers filled in, at the graph's own widths or at those given."""
        one = self.by_name[layer]
        return Shape(
            kind=one.kind,
            in_channels=self.channels(one.reads, widths),
            out_channels=self.channels(one.writes, widths),
            in_size=one.in_size,
            out_size=one.out_size,
            options=one.options,
        )

    def with_widths(self, widths: Mapping[str, int]) -> Graph:
        """The same graph with other widths for the groups named."""
        for name in widths:
            self.group(name)
        return replace(
            self,
            channel_groups=tuple(
                replace(group, width=widths.get(group.name, group.width))
                for group in self.channel_groups
            ),
        )

    def after(self, moves: Iterable[Move]) -> Graph:
        """The graph as it will be when the moves have been applied: arithmetic only.

        Raises:
            GraphError: a move names an unknown or frozen group, or a channel that is not there.
        """
        widths = self.widths
        for move in moves:
            group = self.group(move.group)
            if group.frozen is not None:
                raise GraphError(f"the channel group '{group.name}' cannot change: {group.frozen}")
            for channel in move.channels:
                if not 0 <= channel < group.width:
                    raise GraphError(
                        f"expected a channel of '{group.name}' between 0 and {group.width - 1}, "
                        f"got {channel}"
                    )
            widths[group.name] += move.added
        return self.with_widths(widths)

    def __str__(self) -> str:
        """A table that a person can read: a row a channel group."""
        rows = [("channel group", "width", "written by", "carried by", "read by", "grows")]
        for group in self.channel_groups:
            rows.append(
                (
                    group.name,
                    str(group.width),
                    _listed(group.writers),
                    _counted(self, group.followers),
                    _listed(group.readers),
                    "yes" if group.frozen is None else f"no: {group.frozen}",
                )
            )
        return "\n".join(_aligned(rows))

    def __reduce__(self) -> tuple[type[Graph], tuple[Any, ...]]:
        """Pickle and copy by value: the cached mappings are views and are made anew."""
        return (Graph, (self.layers, self.channel_groups))


def offsets_in(graph: Graph, layout: Layout) -> Iterator[tuple[Segment, int]]:
    """Every segment of a layout with the column at which it begins."""
    start = 0
    for segment in layout:
        yield segment, start
        start += graph.groups[segment.group].width * segment.taps


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return ", ".join(names) or "-"
    return f"{names[0]}, ... {names[-1]} ({len(names)})"


def _counted(graph: Graph, names: Sequence[str]) -> str:
    kinds: dict[str, int] = {}
    for name in names:
        kind = graph.by_name[name].kind
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.items()) or "-"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * w for w in widths), *lines[1:]]

"""The network as shapes only: layers, and the groups of channels that must keep one width.

Pure data. `graph.after(moves)` and every price are arithmetic on it, no tensor is touched.

A value between two layers is described by its *layout*: which groups its channels belong to, in
order, and how many columns (`taps`) each channel takes there (more than one behind a flatten).
Widths live in the groups alone, so growing a graph changes groups and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from easearch.conflicts import Widening, check_channels
from easearch.errors import GraphError, nearest
from easearch.shapes import Held as Held
from easearch.shapes import Own as Own
from easearch.shapes import Shape as Shape
from easearch.table import aligned


@dataclass(frozen=True)
class Segment:
    """A stretch of a value's channel axis: every channel of `group`, `taps` columns each."""

    group: str
    taps: int = 1


Layout = tuple[Segment, ...]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One operation of the network, without widths: those are its groups'.

    `in_size` and `out_size` are a value's sizes but for the first axis and the channels, which
    stand at `in_axis` and `out_axis`; `in_batch` and `out_batch` are the first axis of one sample
    (`Shape`). A value that no group describes has an empty layout and counts as one
    channel of that size.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    reads: Layout
    writes: Layout
    in_size: tuple[int, ...] = ()
    out_size: tuple[int, ...] = ()
    in_batch: int = 1
    out_batch: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    tensors: tuple[Held, ...] = ()
    in_axis: int = 1
    out_axis: int = 1
    module: str | None = None
    """Path of the innermost module whose output this layer's is; None where it is no module's."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups whose widths this layer's shape depends on, each once."""
        return tuple(dict.fromkeys(s.group for s in self.reads + self.writes))


class Deepening(Protocol):
    """What a graph must know of a move that puts layers in."""

    deepens: ClassVar[Literal[True]]

    def inserted(self, graph: Graph) -> Graph:
        """The graph with its layers."""
        ...


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
    unused: tuple[tuple[str, int], ...] = ()
    """Parameters that no layer computes with, and how many numbers each has: of layers that run
    in training alone, or never.
    """

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

    @cached_property
    def _owned(self) -> Mapping[str, tuple[tuple[Own, ...], tuple[str, ...]]]:
        """For every layer, its own tensors, and the roles of those that a layer before it holds."""
        found, held = {}, set[str]()
        for layer in self.layers:
            before = frozenset(held)
            own = []
            for h in layer.tensors:
                if h.path not in held:
                    held.add(h.path)
                    has = h.rows is not None, h.columns is not None
                    own.append(Own(h.role, h.each, *has, h.trained))
            shared = tuple(h.role for h in layer.tensors if h.path in before)
            found[layer.name] = tuple(own), shared
        return found

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
        """Columns of a value with this layout, at the graph's own widths or at those given; 1 where
        no group describes it.
        """
        given = widths or {}
        if not layout:
            return 1
        return sum(given.get(s.group, self.groups[s.group].width) * s.taps for s in layout)

    def shape(self, layer: str, widths: Mapping[str, int] | None = None) -> Shape:
        """The layer with its numbers filled in, at the graph's own widths or at those given."""
        one = self.by_name[layer]
        own, shared = self._owned[layer]
        return Shape(
            kind=one.kind,
            in_channels=self.channels(one.reads, widths),
            out_channels=self.channels(one.writes, widths),
            in_size=one.in_size,
            out_size=one.out_size,
            in_batch=one.in_batch,
            out_batch=one.out_batch,
            options=one.options,
            in_axis=one.in_axis if one.reads else None,
            out_axis=one.out_axis if one.writes else None,
            own=own,
            shared=shared,
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

    def after(self, moves: Sequence[Widening | Deepening]) -> Graph:
        """The graph as it will be when the moves have been applied: arithmetic only.

        Moves refer to this graph; new layers come after the widths, one after the other, so that
        one may stand behind another.

        Raises:
            GraphError: a move names an unknown or frozen group, or a channel that is not there;
                a channel is split twice, removed twice, or both; no channel of a group would stay;
                a new layer has no place.
        """
        widening = [move for move in moves if not move.deepens]
        widths = self.widths
        for move in widening:
            group = self.group(move.group)
            if group.frozen is not None:
                raise GraphError(f"the channel group '{group.name}' cannot change: {group.frozen}")
            widths[group.name] += move.added
        check_channels(widening, self.widths)
        graph = self.with_widths(widths)
        for one in moves:
            graph = one.inserted(graph) if one.deepens else graph
        return graph

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
        return "\n".join(aligned(rows))

    def __reduce__(self) -> tuple[type[Graph], tuple[Any, ...]]:
        """Pickle and copy by value: the cached mappings are views and are made anew."""
        return (Graph, (self.layers, self.channel_groups, self.unused))


def offsets_in(graph: Graph, layout: Layout) -> Iterator[tuple[Segment, int]]:
    """Every segment of a layout with the column at which it begins."""
    start = 0
    for segment in layout:
        yield segment, start
        start += graph.groups[segment.group].width * segment.taps


def stride(graph: Graph, group: str, step: int) -> int:
    """The step of a group's width at which the columns of its writers are multiples of `step`.

    A unit of a grouped convolution is several columns; where writers differ, the fewest count.
    """
    segments = (s for name in graph.groups[group].writers for s in graph.by_name[name].writes)
    taps = min((s.taps for s in segments if s.group == group), default=1)
    return step // math.gcd(step, taps)


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

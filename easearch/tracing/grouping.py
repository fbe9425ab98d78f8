"""From layers with numbered groups to the Graph: every group under its first writer's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from easearch.graph import ChannelGroup, Graph, Layer, Layout, Segment
from easearch.tracing.kind import Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.registry import KINDS


def grouped(layers: Sequence[Layer], layouts: Layouts) -> Graph:
    """The finished graph. Groups stand in the order in which they are first written."""
    settled = [
        replace(one, reads=layouts.settled(one.reads), writes=layouts.settled(one.writes))
        for one in layers
    ]
    names = dict(_named(settled))
    final = tuple(
        replace(one, reads=_renamed(one.reads, names), writes=_renamed(one.writes, names))
        for one in settled
    )
    members = _members(final)
    groups = tuple(
        ChannelGroup(
            name=name,
            width=layouts.width(number),
            writers=tuple(members[name, "writes"]),
            followers=tuple(members[name, "follows"]),
            readers=tuple(members[name, "reads"]),
            frozen=layouts.frozen(number),
        )
        for number, name in names.items()
    )
    return Graph(final, groups)


def mixes(layer: Layer) -> bool:
    """Whether the layer's outputs are channels of its own making."""
    return layer.kind not in KINDS or KINDS[layer.kind].role is Role.MIXES


def _named(layers: Iterable[Layer]) -> Iterable[tuple[str, str]]:
    """(number, name) of every group: its first writer; `name#2` for the second that it begins."""
    named: dict[str, str] = {}
    begun: dict[str, int] = {}
    for layer in layers:
        # What no layer writes is known from a reader alone, and named after what it reads.
        sources = [(s, layer.inputs[0] if layer.inputs else layer.name) for s in layer.reads]
        for segment, name in [*sources, *((s, layer.name) for s in layer.writes)]:
            if segment.group not in named:
                begun[name] = begun.get(name, 0) + 1
                named[segment.group] = name if begun[name] == 1 else f"{name}#{begun[name]}"
    return named.items()


def _renamed(layout: Layout, names: dict[str, str]) -> Layout:
    return tuple(Segment(names[s.group], s.taps) for s in layout)


def _members(layers: Sequence[Layer]) -> dict[tuple[str, str], list[str]]:
    """(group, what a layer does with it) -> the layers, in order."""
    members: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for layer in layers:
        reads = dict.fromkeys(s.group for s in layer.reads)
        writes = dict.fromkeys(s.group for s in layer.writes)
        for group in writes:
            members[group, "writes" if mixes(layer) else "follows"].append(layer.name)
        if mixes(layer) or not writes:
            for group in reads:
                members[group, "reads"].append(layer.name)
    return members

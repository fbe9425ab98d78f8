"""Which removed channels compute just what one that stays computes.

Their reader columns may then be added to the twin's, and the function stays: a removal takes back a
split that has not moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from easearch.graph import Graph, Layout, offsets_in
from easearch.moves import Move, Remove


def twins(
    graph: Graph, moves: Sequence[Move], tensors: Mapping[str, Tensor]
) -> dict[str, dict[int, int]]:
    """For every group, its removed channels that have an exact twin among those that stay, and the
    first such: all their rows in all tensors that hold rows of the group are equal.
    """
    gone: dict[str, set[int]] = {}
    for move in moves:
        if isinstance(move, Remove):
            gone.setdefault(move.group, set()).update(move.channels)
    return {group: _twins(graph, group, channels, tensors) for group, channels in gone.items()}


def _twins(
    graph: Graph, group: str, gone: set[int], tensors: Mapping[str, Tensor]
) -> dict[int, int]:
    classes: dict[str, Tensor] = {}
    for layer in graph.layers:
        if layer.name in graph.groups[group].writers and not any(
            held.rows is not None for held in layer.tensors
        ):
            return {}  # nothing tells its channels apart that could be compared
        for held in layer.tensors:
            if held.rows is None:
                continue
            for number, rows in enumerate(_rows(graph, group, layer.writes)):
                own = tensors[held.path].detach().movedim(held.rows, 0)[rows]
                own = own.reshape(graph.groups[group].width, -1)
                key = f"{held.path} {number}"
                if key not in classes:
                    classes[key] = torch.unique(own, dim=0, return_inverse=True)[1]
    first: dict[tuple[int, ...], int] = {}
    signs = list(zip(*(inverse.tolist() for inverse in classes.values()), strict=True))
    for channel, sign in enumerate(signs):
        if channel not in gone:
            first.setdefault(sign, channel)
    return {channel: first[signs[channel]] for channel in sorted(gone) if signs[channel] in first}


def _rows(graph: Graph, group: str, layout: Layout) -> list[slice]:
    """Where the group's columns stand in a layout, a stretch for each of its places."""
    width = graph.groups[group].width
    return [
        slice(start, start + width * segment.taps)
        for segment, start in offsets_in(graph, layout)
        if segment.group == group
    ]

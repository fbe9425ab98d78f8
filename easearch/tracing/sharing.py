"""Tensors that several layers hold: a module called twice, two modules with one weight.

Such a tensor has one width for all its uses: their channels are the same channels, or cannot
change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from easearch.graph import Held, Layer, Layout
from easearch.tracing.layouts import Apart, Layouts


def tie_shared(layers: Sequence[Layer], layouts: Layouts, blocked: Mapping[str, str]) -> None:
    """Tie the uses of every tensor, axis by axis; `blocked` says why some cannot change."""
    uses: defaultdict[str, list[tuple[Layer, Held]]] = defaultdict(list)
    for layer in layers:
        for held in layer.tensors:
            uses[held.path].append((layer, held))
            if held.path in blocked:
                layouts.freeze(layer.reads + layer.writes, blocked[held.path])
    for path, users in uses.items():
        what, first = f"'{path}' is used {len(users)} times", _axes(*users[0])
        for other in users[1:]:
            _tie_two(what, first, _axes(*other), layouts)
            _check_roles(what, users[0], other, layouts)


def _tie_two(
    what: str, one: Mapping[int, Layout], other: Mapping[int, Layout], layouts: Layouts
) -> None:
    try:
        if one.keys() != other.keys():
            raise Apart("along different axes")
        for axis, layout in one.items():
            layouts.tie(layout, other[axis])
    except Apart as apart:
        for layout in (*one.values(), *other.values()):
            layouts.freeze(layout, f"{what}: {apart}")


def _check_roles(
    what: str, one: tuple[Layer, Held], other: tuple[Layer, Held], layouts: Layouts
) -> None:
    """Freeze an axis along which one layer writes and the other reads: a split repeats rows, but
    shares columns.
    """
    for (layer, held), (_, there) in ((one, other), (other, one)):
        if held.rows is not None and held.rows == there.columns:
            layouts.freeze(
                layer.writes, f"{what}: what one layer writes along an axis, another one reads"
            )


def _axes(layer: Layer, held: Held) -> dict[int, Layout]:
    pairs = ((held.rows, layer.writes), (held.columns, layer.reads))
    return {axis: layout for axis, layout in pairs if axis is not None}

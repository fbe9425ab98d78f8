"""Some of a unit's channels, as if there were no others.

Solvers finish channel by channel. Where every layer of a unit writes the group's channels and
nothing else, one row each, the rest can be left out: the cost of a product goes down in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from easearch.scoring.linearised.maps import bare
from easearch.scoring.samples.capture import Captured
from easearch.scoring.units.rows import Rows
from easearch.scoring.units.unit import Unit


@dataclass(frozen=True, kw_only=True, eq=False)
class Few:
    """Channels by number, the axis where values have them, and what they own."""

    channels: Tensor
    axis: int
    rows: Rows

    @classmethod
    def of(cls, unit: Unit, channels: Tensor) -> Few | None:
        """These channels of a unit; None where they do not go apart."""
        own = all(
            [(segment.group, segment.taps) for segment in layer.writes] == [(unit.group.name, 1)]
            for layer in unit.layers
        )
        axes = {layer.out_axis for layer in unit.layers}
        rows = unit.few(channels) if own and len(axes) == 1 else None
        return None if rows is None else cls(channels=channels, axis=axes.pop(), rows=rows)

    def take(self, value: Tensor) -> Tensor:
        """Their part of a value of all channels."""
        return taken(value, self.axis, self.channels)

    def inner(self, unit: Unit, values: Mapping[str, Tensor], chunk: Captured) -> Tensor:
        """(1, C): `<g, values>` summed over the exits and the samples, channel by channel."""
        parts = [(chunk.gradients[edge] * values[edge[0]]) for edge in unit.exits]
        others = [[a for a in range(part.dim()) if a != self.axis] for part in parts]
        sums = [part.sum(axes) for part, axes in zip(parts, others, strict=True)]
        return sum(sums[1:], start=sums[0])[None]


def taken(value: Tensor, axis: int, channels: Tensor) -> Tensor:
    """Some channels' part of a value; of a mere shape (maps.py, `formed`) the part's shape."""
    moved = value.movedim(axis, -1)
    shape = (*moved.shape[:-1], len(channels))
    if bare(value):
        return value.new_zeros(1).expand(shape).movedim(-1, axis)
    if not moved.is_contiguous():
        return value.index_select(axis, channels)
    # As a matrix: eight times as fast as by the last of four axes.
    flat = moved.reshape(-1, moved.shape[-1]).index_select(1, channels)
    return flat.view(shape).movedim(-1, axis)

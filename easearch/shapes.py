"""Shapes of single layers: numbers filled in, and how many numbers their tensors hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Held:
    """A tensor that a layer computes with: what the layer calls it, where the model keeps it.

    `rows` is its axis along the channels that the layer writes, `columns` that along those it
    reads; None where it has no such axis. It has `each` numbers for every one of those.
    """

    role: str
    path: str
    rows: int | None = None
    columns: int | None = None
    each: float = 0
    trained: bool = True
    """Whether it is a parameter; a buffer is not."""


class Own(NamedTuple):
    """How many numbers a tensor of a layer has: `each`, a channel written and one read."""

    role: str
    each: float
    rows: bool
    columns: bool
    trained: bool


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One layer with numbers filled in: all that its work, size and latency depend on. Hashable.

    An axis is None where the value has no channels that are known: its sizes are then all of it.
    `in_batch` and `out_batch` are the first axis of one sample: 1, unless the network puts
    positions there (`flatten(0, 1)`, sequences first).
    """

    kind: str
    in_channels: int
    out_channels: int
    in_size: tuple[int, ...]
    out_size: tuple[int, ...]
    in_batch: int = 1
    out_batch: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    in_axis: int | None = 1
    out_axis: int | None = 1
    own: tuple[Own, ...] = ()
    """The layer's tensors, without those that a layer before it holds already."""
    shared: tuple[str, ...] = ()
    """Roles of those."""

    def __getitem__(self, option: str) -> Any:
        """The option of that name (`shape["kernel"]`)."""
        return dict(self.options)[option]

    def numbers(self, *, trained: bool, role: str | None = None) -> int:
        """Numbers of the layer's own tensors: of its parameters or, besides, of its buffers too.

        Args:
            trained: parameters alone.
            role: tensors of that role alone.
        """
        ends = (self.out_channels, self.in_channels)
        return sum(
            round(one.each * math.prod(n for n, has in zip(ends, one[2:4], strict=True) if has))
            for one in self.own
            if one.trained >= trained and role in (None, one.role)
        )

    @property
    def positions(self) -> int:
        """Output positions a channel (1 for a vector)."""
        return self.out_batch * math.prod(self.out_size)

    @property
    def in_positions(self) -> int:
        """Input positions a channel."""
        return self.in_batch * math.prod(self.in_size)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """All sizes of one sample that goes in."""
        return _with_channels(self.in_batch, self.in_size, self.in_axis, self.in_channels)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """All sizes of one sample that comes out."""
        return _with_channels(self.out_batch, self.out_size, self.out_axis, self.out_channels)


def _with_channels(
    batch: int, size: tuple[int, ...], axis: int | None, channels: int
) -> tuple[int, ...]:
    if axis is None:
        return (batch, *size)
    return (batch, *size[: axis - 1], channels, *size[axis - 1 :])

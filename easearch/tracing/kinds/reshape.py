"""Views of a tensor under another shape: channels merged with positions, or cut into parts.

Flattening makes every channel a block of neighbouring columns; with the channels last it repeats
them for every position. Cutting the channel axis in `k` leaves equal parts, which must stay equal:
they are tied. A width that the code names as a number cannot change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from easearch.graph import Layout, Segment, Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
SIZES = ("input", "shape")
ENDS = ("input", "start_dim", "end_dim")
ONE = ("input", "dim")
PARTS = ("input", "dim", "sizes")
REPEATS = 4096
"""Positions for which a channel axis may be repeated side by side."""


class Reshape(Kind):
    """`view`, `reshape`, `flatten`, `unflatten`, `squeeze`, `unsqueeze`."""

    name = "reshape"
    role = Role.FOLLOWS
    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.Flatten, nn.Unflatten)
    functions: ClassVar = {
        **dict.fromkeys((torch.reshape, ATEN.view.default, ATEN.reshape.default), SIZES),
        ATEN._unsafe_view.default: SIZES,
        **dict.fromkeys((torch.flatten, ATEN.flatten.using_ints), ENDS),
        **dict.fromkeys((torch.unsqueeze, torch.squeeze, ATEN.unsqueeze.default), ONE),
        **dict.fromkeys((ATEN.squeeze.dim, ATEN.squeeze.dims, ATEN.squeeze.default), ONE),
        **dict.fromkeys((torch.unflatten, ATEN.unflatten.int), PARTS),
    }
    methods: ClassVar = {
        **dict.fromkeys(("view", "reshape"), SIZES),
        "flatten": ENDS,
        **dict.fromkeys(("unsqueeze", "squeeze"), ONE),
        "unflatten": PARTS,
    }
    takes_sizes = True

    def accepts(self, call: Call) -> bool:
        """A value."""
        return bool(call.values) and not (call.args[1:] and isinstance(call.args[1], torch.dtype))

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Find where the channel axis goes."""
        value = call.values[0]
        if value.axis is None:
            return Through(reads=(), in_axis=1, axis=None, writes=())
        axis, writes = _reshaped(value, value.axis, call.out_shape, layouts)
        named = _named(call, axis)
        if named is not None:
            layouts.freeze(
                value.layout, f"the code names its size, {named}, in a reshape of '{value.source}'"
            )
        return Through(reads=value.layout, in_axis=value.axis, axis=axis, writes=writes)

    def options(self, call: Call) -> dict[str, Any]:
        """Nothing: the sizes say it."""
        return {}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record how many maps are made out of a vector."""
        if isinstance(module, nn.Unflatten):
            size = tuple(module.unflattened_size)
            if len(size) > 2 and isinstance(size[0], int) and size[0] != -1:
                module.unflattened_size = (out_channels, *size[1:])

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Reshape."""
        return (Op(type="Reshape", integers=(shape.out_shape,)),)


class Flatten(Reshape):
    """(N, C, ...) -> (N, C * positions), channel by channel: the step before a linear layer."""

    name = "flatten"

    def accepts(self, call: Call) -> bool:
        """Everything but the batch, channels first."""
        if not super().accepts(call):
            return False
        value = call.values[0]
        return axis_of(value) == 1 and call.out_shape == (
            value.shape[0],
            math.prod(value.shape[1:]),
        )

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Flatten."""
        return (Op(type="Flatten"),)


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Axes that a reshape takes together, those of size 1 left out, and what becomes of them."""

    ins: list[int]
    outs: list[int]


def _reshaped(
    value: Value, axis: int, out: tuple[int, ...], layouts: Layouts
) -> tuple[int, Layout]:
    """Where the channels stand afterwards, and their layout."""
    block = _block_of(value.shape, out, axis)
    if 0 in block.ins:
        raise Apart("it puts the samples of a batch beside the channels")
    sizes = [out[place] for place in block.outs]
    if len(block.outs) == 1:
        at = block.ins.index(axis)
        before = math.prod(value.shape[place] for place in block.ins[:at])
        after = math.prod(value.shape[place] for place in block.ins[at + 1 :])
        if before > REPEATS:
            raise Apart(f"it repeats its channels for {before} positions")
        each = tuple(Segment(s.group, s.taps * after) for s in value.layout)
        return block.outs[0], each * before
    settled = layouts.settled(value.layout)
    if block.ins != [axis]:
        return block.outs[0], _regrouped(value, axis, block, sizes, settled)
    inner = math.prod(sizes[1:])
    if all(s.taps % inner == 0 for s in settled):
        return block.outs[0], tuple(Segment(s.group, s.taps // inner) for s in settled)
    if len(sizes) > 2:  # maps out of a vector: a channel owns a block of columns
        blocks = layouts.blocks(settled, inner)
        return block.outs[0], tuple(Segment(s.group, s.taps // inner) for s in blocks)
    parts = layouts.cut(settled, [inner] * sizes[0])
    for part in parts[1:]:
        layouts.tie(parts[0], part)
    return block.outs[1], parts[0]


def _regrouped(
    value: Value, axis: int, block: _Block, sizes: Sequence[int], settled: Layout
) -> Layout:
    """Channels first, cut with their positions: every one gives several neighbouring columns, or
    several neighbouring columns of one are put together.

    Raises:
        Apart: positions come first, or a cut goes through a channel.
    """
    width, made = value.shape[axis], sizes[0]
    if block.ins[0] != axis or (made % width and width % made):
        raise Apart("it cuts channels and positions at once")
    if made >= width:
        return tuple(Segment(s.group, s.taps * (made // width)) for s in settled)
    many = width // made
    if any(s.taps % many for s in settled):
        raise Apart("it puts several channels together with their positions")
    return tuple(Segment(s.group, s.taps // many) for s in settled)


def _block_of(ins: Sequence[int], outs: Sequence[int], axis: int) -> _Block:
    """The block of axes in which the channels stand: the shortest stretches of equal product."""
    i = j = 0
    while i < len(ins) or j < len(outs):
        begin_i, begin_j = i, j
        left = right = 1
        while True:
            if left <= right and i < len(ins) and (left < right or i == begin_i):
                left, i = left * ins[i], i + 1
            elif j < len(outs) and (right < left or j == begin_j):
                right, j = right * outs[j], j + 1
            else:
                break
        if begin_i <= axis < i:
            kept = [p for p in range(begin_i, i) if ins[p] > 1 or p == axis]
            made = [p for p in range(begin_j, j) if outs[p] > 1]
            if left != right or (not made and j == begin_j):
                break
            return _Block(ins=kept, outs=made or [begin_j])
    raise Apart("its axes cannot be matched")


def _named(call: Call, axis: int) -> int | None:
    """The number that the code gives for the axis of the channels, if it gives one."""
    given: Sequence[Any] = ()
    start = 0
    if isinstance(call.module, nn.Unflatten):
        given, start = tuple(call.module.unflattened_size), int(call.module.dim)
        if axis == start % len(call.out_shape) and len(given) > 2:
            return None  # the module's own record, which is kept up
    elif call.module is None:
        name = call.target if isinstance(call.target, str) else call.target.__name__
        if "unflatten" in name:
            given, start = call.argument("sizes", 2), call.argument("dim", 1)
        elif "view" in name or "reshape" in name:
            given = call.kwargs.get("shape", call.args[1:])
            if len(given) == 1 and isinstance(given[0], tuple | list):
                (given,) = given
    start %= len(call.out_shape)
    place = axis - start
    if 0 <= place < len(given) and isinstance(given[place], int) and given[place] != -1:
        return int(given[place])
    return None

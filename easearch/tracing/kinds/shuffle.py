"""Channels laid among each other: channel shuffle, and positions made of channels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Segment, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through

ATEN = torch.ops.aten
GROUPS = ("input", "groups")
FACTOR = ("input", "factor")


class ChannelShuffle(Kind):
    """Channels of `groups` equal parts take turns; the parts stay equal, so they are tied."""

    name = "channel_shuffle"
    role = Role.FOLLOWS
    modules = (nn.ChannelShuffle,)
    functions: ClassVar = dict.fromkeys(
        (torch.channel_shuffle, F.channel_shuffle, ATEN.channel_shuffle.default), GROUPS
    )

    def accepts(self, call: Call) -> bool:
        """Channels at axis 1."""
        return call.values[0].axis == 1

    def through(self, call: Call, layouts: Layouts) -> Through:
        """A channel of every part in turn."""
        value, many = call.values[0], self._groups(call)
        parts = layouts.cut(value.layout, [value.shape[1] // many] * many)
        for part in parts[1:]:
            layouts.tie(parts[0], part)
        turns = layouts.settled(parts[0])
        writes = tuple(Segment(s.group, s.taps * many) for s in turns)
        return Through(reads=value.layout, in_axis=1, axis=1, writes=writes)

    def options(self, call: Call) -> dict[str, Any]:
        """How many parts."""
        return {"groups": self._groups(call)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Cut, turn, join."""
        many, width = shape["groups"], shape.out_channels // shape["groups"]
        size = shape.out_size
        perm = (0, 2, 1, *range(3, 3 + len(size)))
        return (
            Op(type="Reshape", integers=((shape.out_batch, many, width, *size),)),
            Op(type="Transpose", inputs=("0",), attributes=(("perm", perm),)),
            Op(type="Reshape", inputs=("1",), integers=(shape.out_shape,)),
        )

    def _groups(self, call: Call) -> int:
        if isinstance(call.module, nn.ChannelShuffle):
            return call.module.groups
        return int(self.arguments(call)["groups"])


class PixelShuffle(Kind):
    """`factor^2` channels become a patch of positions (or the other way round)."""

    name = "pixel_shuffle"
    role = Role.FOLLOWS
    modules = (nn.PixelShuffle, nn.PixelUnshuffle)
    functions: ClassVar = dict.fromkeys(
        (F.pixel_shuffle, F.pixel_unshuffle, ATEN.pixel_shuffle.default), FACTOR
    ) | {ATEN.pixel_unshuffle.default: FACTOR}

    def accepts(self, call: Call) -> bool:
        """Maps (N, C, H, W)."""
        return call.values[0].axis == 1 and len(call.out_shape) == 4

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Units hold whole patches."""
        value = call.values[0]
        ins, outs = value.shape[1], call.out_shape[1]
        reads = value.layout
        if ins > outs:
            reads = layouts.blocks(reads, ins // outs)
            writes = tuple(Segment(s.group, s.taps * outs // ins) for s in reads)
        else:
            writes = tuple(Segment(s.group, s.taps * outs // ins) for s in reads)
        return Through(reads=reads, in_axis=1, axis=1, writes=writes)

    def options(self, call: Call) -> dict[str, Any]:
        """The factor; below zero where positions become channels."""
        ins, outs = call.values[0].shape[2], call.out_shape[2]
        return {"factor": outs // ins if outs >= ins else -(ins // outs)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """DepthToSpace or SpaceToDepth."""
        factor = shape["factor"]
        size = ("blocksize", abs(factor))
        if factor < 0:
            return (Op(type="SpaceToDepth", attributes=(size,)),)
        return (Op(type="DepthToSpace", attributes=(size, ("mode", "CRD"))),)

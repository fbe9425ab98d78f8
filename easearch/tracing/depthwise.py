"""Depthwise convolutions: a kernel of its own for every channel, one channel in, the same channel
out.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import nn

from easearch.graph import Shape
from easearch.tracing.conv import conv_op, conv_options
from easearch.tracing.kind import Call, Kind, Op, Role


class Depthwise(Kind):
    """Convolution with as many groups as input and output channels."""

    name = "depthwise"
    role = Role.FOLLOWS
    modules = (nn.Conv1d, nn.Conv2d)
    out_axes: ClassVar = {"weight": 0, "bias": 0}

    def accepts(self, call: Call) -> bool:
        """One group a channel, and no channel multiplier. A one-channel dense convolution is not
        depthwise.
        """
        conv = call.module
        return (
            isinstance(conv, nn.Conv1d | nn.Conv2d)
            and conv.groups == conv.in_channels == conv.out_channels
            and conv.groups > 1
        )

    def options(self, call: Call) -> dict[str, Any]:
        """Kernel, stride, padding, dilation and bias."""
        return conv_options(call)

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new width, three times."""
        assert isinstance(module, nn.Conv1d | nn.Conv2d)
        module.in_channels = module.out_channels = module.groups = out_channels

    def macs(self, shape: Shape) -> int:
        """Positions x channels x kernel."""
        return int(shape.positions * shape.out_channels * math.prod(shape["kernel"]))

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        return int(shape.out_channels * (math.prod(shape["kernel"]) + int(shape["bias"])))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One grouped Conv."""
        return (conv_op(shape, groups=shape.out_channels),)

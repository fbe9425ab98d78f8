"""Convolutions that mix channels: each output channel reads every input channel."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


def conv_options(call: Call) -> dict[str, Any]:
    """Kernel, stride, padding, dilation and bias of a convolution's call."""
    conv = call.module
    assert isinstance(conv, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    pads = conv._reversed_padding_repeated_twice[
        ::-1
    ]  # (begin, end) of the first axis, then the next
    return {
        "kernel": tuple(conv.kernel_size),
        "stride": tuple(conv.stride),
        "pads": tuple(pads[1::2]) + tuple(pads[0::2]),
        "dilation": tuple(conv.dilation),
        "bias": conv.bias is not None,
    }


def conv_op(shape: Shape, groups: int) -> Op:
    """A convolution with bias (a norm behind it is folded into both), as an ONNX operator."""
    return Op(
        type="Conv",
        weights=(
            (shape.out_channels, shape.in_channels // groups, *shape["kernel"]),
            (shape.out_channels,),
        ),
        attributes=(
            ("kernel_shape", shape["kernel"]),
            ("strides", shape["stride"]),
            ("pads", shape["pads"]),
            ("dilations", shape["dilation"]),
            ("group", groups),
        ),
    )


class Conv(Kind):
    """Dense convolution over one or two spatial axes."""

    name = "conv"
    role = Role.MIXES
    modules = (nn.Conv1d, nn.Conv2d)
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    in_axes: ClassVar = {"weight": 1}

    def accepts(self, call: Call) -> bool:
        """Dense only: grouped convolutions keep their channels apart."""
        return isinstance(call.module, nn.Conv1d | nn.Conv2d) and call.module.groups == 1

    def options(self, call: Call) -> dict[str, Any]:
        """Kernel, stride, padding, dilation and bias."""
        return conv_options(call)

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new widths."""
        assert isinstance(module, nn.Conv1d | nn.Conv2d)
        module.in_channels, module.out_channels = in_channels, out_channels

    def macs(self, shape: Shape) -> int:
        """Positions x output channels x input channels x kernel."""
        weights = shape.out_channels * shape.in_channels * math.prod(shape["kernel"])
        return int(shape.positions * weights)

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        weights = shape.out_channels * shape.in_channels * math.prod(shape["kernel"])
        return int(weights + (shape.out_channels if shape["bias"] else 0))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Conv."""
        return (conv_op(shape, groups=1),)

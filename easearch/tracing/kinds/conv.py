"""Convolutions that mix channels: each output channel reads every input channel."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Parameter
from easearch.tracing.kind import Kind, Op, Role

ATEN = torch.ops.aten
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
FUNCTIONS: dict[Any, tuple[str, ...]] = dict.fromkeys(
    (
        *(F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d),
        *(ATEN.conv1d.default, ATEN.conv2d.default, ATEN.conv3d.default),
        *(ATEN.conv1d.padding, ATEN.conv2d.padding, ATEN.conv3d.padding),
    ),
    ARGUMENTS,
)
AROUND = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What lies around a map, in torch's word and in ONNX's."""
MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def settings(call: Call, given: dict[str, Any]) -> dict[str, Any] | None:
    """Weight's shape, stride, padding, dilation and groups of a convolution; `given` are a
    function's arguments. None where the weight is no parameter or inputs are no maps.
    """
    conv, around = call.module, "zeros"
    if conv is not None:
        assert isinstance(conv, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        given = {name: getattr(conv, name) for name in ARGUMENTS[3:]}
        shape = tuple(conv.weight.shape)
        bias = conv.bias is not None
        if any(conv._reversed_padding_repeated_twice):
            around = conv.padding_mode
    else:
        if not isinstance(given.get("weight"), Parameter):
            return None
        shape = given["weight"].shape
        bias = given.get("bias") is not None
    if call.values[0].axis not in (1, None) or len(call.out_shape) != len(shape):
        return None
    dims = len(shape) - 2
    return {
        "shape": shape,
        "bias": bias,
        "stride": spread(given.get("stride", 1), dims),
        "padding": given.get("padding", 0),
        "dilation": spread(given.get("dilation", 1), dims),
        "groups": given.get("groups", 1),
        "around": around,
    }


def spread(value: Any, dims: int) -> tuple[int, ...]:
    """A number for every axis, where one number stands for all."""
    many = tuple(value) if isinstance(value, tuple | list) else (value,)
    return many * dims if len(many) == 1 else many


def conv_options(found: dict[str, Any]) -> dict[str, Any]:
    """Kernel, stride, padding (all begins, then all ends), dilation and bias."""
    kernel, dilation = found["shape"][2:], found["dilation"]
    if found["padding"] == "same":
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pads = (*(r // 2 for r in reach), *(r - r // 2 for r in reach))
    else:
        pads = spread(0 if found["padding"] == "valid" else found["padding"], len(kernel)) * 2
    options = {
        "kernel": tuple(kernel),
        "stride": found["stride"],
        "pads": tuple(pads),
        "dilation": dilation,
        "bias": found["bias"],
    }
    return options if found["around"] == "zeros" else {**options, "around": found["around"]}


def conv_ops(shape: Shape, groups: int) -> tuple[Op, ...]:
    """A convolution with bias (a norm behind it is folded into both), as ONNX operators: what is
    not padded with zeros is padded first.
    """
    weights = (
        (shape.out_channels, shape.in_channels // groups, *shape["kernel"]),
        (shape.out_channels,),
    )
    around = dict(shape.options).get("around", "zeros")
    if around == "zeros":
        return (Op(type="Conv", weights=weights, attributes=window(shape, groups)),)
    pads, axes = shape["pads"], len(shape["stride"])
    whole = (0, 0, *pads[:axes], 0, 0, *pads[axes:])
    attributes = {**dict(window(shape, groups)), "pads": (0,) * len(pads)}
    return (
        Op(type="Pad", integers=(whole,), attributes=(("mode", AROUND[around]),)),
        Op(type="Conv", inputs=("0",), weights=weights, attributes=tuple(attributes.items())),
    )


def window(shape: Shape, groups: int) -> tuple[tuple[str, Any], ...]:
    """How a convolution goes over its input, as attributes of an ONNX operator."""
    return (
        ("kernel_shape", shape["kernel"]),
        ("strides", shape["stride"]),
        ("pads", shape["pads"]),
        ("dilations", shape["dilation"]),
        ("group", groups),
    )


class Conv(Kind):
    """Dense convolution over one, two or three axes."""

    name = "conv"
    role = Role.MIXES
    modules: ClassVar[tuple[type[nn.Module], ...]] = MODULES
    functions: ClassVar = FUNCTIONS
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    in_axes: ClassVar = {"weight": 1}

    def accepts(self, call: Call) -> bool:
        """Dense only: grouped convolutions keep their channels apart."""
        found = settings(call, self.arguments(call))
        return found is not None and found["groups"] == 1

    def options(self, call: Call) -> dict[str, Any]:
        """Kernel, stride, padding, dilation and bias."""
        found = settings(call, self.arguments(call))
        assert found is not None
        return conv_options(found)

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new widths."""
        if isinstance(module, self.modules):
            module.in_channels, module.out_channels = in_channels, out_channels  # type: ignore[assignment]

    def macs(self, shape: Shape) -> int:
        """Positions x output channels x input channels x kernel."""
        weights = shape.out_channels * shape.in_channels * math.prod(shape["kernel"])
        return int(shape.positions * weights)

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        weights = shape.out_channels * shape.in_channels * math.prod(shape["kernel"])
        return int(weights + (shape.out_channels if shape["bias"] else 0))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Conv, or two operators where it is not padded with zeros."""
        return conv_ops(shape, groups=1)

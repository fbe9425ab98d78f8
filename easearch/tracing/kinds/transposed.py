"""Transposed convolutions: every input position is spread over a window of the output.

Their weight stands the other way round: (input channels, output channels a group, kernel).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Parameter
from easearch.tracing.kind import Kind, Op
from easearch.tracing.kinds.conv import Conv, spread, window
from easearch.tracing.kinds.grouped import Grouped
from easearch.tracing.kinds.numbers import plain
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, read

ATEN = torch.ops.aten
ARGUMENTS = (
    *("input", "weight", "bias", "stride", "padding"),
    *("output_padding", "groups", "dilation"),
)
FUNCTIONS: dict[Any, tuple[str, ...]] = dict.fromkeys(
    (
        *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
        *(ATEN.conv_transpose1d.default, ATEN.conv_transpose2d.input, ATEN.conv_transpose3d.input),
    ),
    ARGUMENTS,
)
MODULES = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _settings(kind: Kind, call: Call) -> dict[str, Any] | None:
    """Weight's shape, stride, padding, dilation and groups; None where it cannot be followed."""
    module = call.module
    if module is not None:
        assert isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        given = {name: getattr(module, name) for name in ARGUMENTS[3:]}
        shape, bias = tuple(module.weight.shape), module.bias is not None
    else:
        given = {name: plain(value) for name, value in kind.arguments(call).items()}
        weight, added = given.get("weight"), given.get("bias")
        if not isinstance(weight, Parameter) or not isinstance(added, Parameter | None):
            return None
        shape, bias = weight.shape, added is not None
    if call.values[0].axis not in (1, None) or len(call.out_shape) != len(shape):
        return None
    dims = len(shape) - 2
    return {
        "shape": shape,
        "bias": bias,
        "stride": spread(given.get("stride", 1), dims),
        "padding": spread(given.get("padding", 0), dims),
        "dilation": spread(given.get("dilation", 1), dims),
        "groups": given.get("groups", 1),
    }


def _options(call: Call, found: dict[str, Any]) -> dict[str, Any]:
    """Kernel, stride, padding, padding of the output (begins are 0), dilation and bias."""
    kernel = tuple(found["shape"][2:])
    sizes = zip(call.values[0].shape[2:], call.out_shape[2:], strict=True)
    settings = zip(kernel, found["stride"], found["padding"], found["dilation"], strict=True)
    # Read off the sizes: a call may give the output's size instead.
    extra = tuple(
        out - ((size - 1) * stride - 2 * pad + dilation * (width - 1) + 1)
        for (size, out), (width, stride, pad, dilation) in zip(sizes, settings, strict=True)
    )
    return {
        "kernel": kernel,
        "stride": found["stride"],
        "pads": found["padding"] * 2,
        "extra": extra,
        "dilation": found["dilation"],
        "bias": found["bias"],
    }


def _op(shape: Shape, groups: int) -> Op:
    return Op(
        type="ConvTranspose",
        weights=(
            (shape.in_channels, shape.out_channels // groups, *shape["kernel"]),
            (shape.out_channels,),
        ),
        attributes=(*window(shape, groups), ("output_padding", shape["extra"])),
    )


class Transposed(Conv):
    """Dense transposed convolution over one, two or three axes."""

    name = "transposed"
    modules: ClassVar[tuple[type[nn.Module], ...]] = MODULES
    functions: ClassVar = FUNCTIONS
    out_axes: ClassVar = {"weight": 1, "bias": 0}
    in_axes: ClassVar = {"weight": 0}
    takes_sizes = True  # the output's

    def accepts(self, call: Call) -> bool:
        """Dense only: grouped ones keep their channels apart."""
        found = _settings(self, call)
        return found is not None and found["groups"] == 1

    def options(self, call: Call) -> dict[str, Any]:
        """Kernel, stride, padding, padding of the output, dilation and bias."""
        found = _settings(self, call)
        assert found is not None
        return _options(call, found)

    def macs(self, shape: Shape) -> int:
        """Input positions x input channels x output channels x kernel, as fvcore counts them."""
        weights = shape.in_channels * shape.out_channels * math.prod(shape["kernel"])
        return int(shape.in_positions * weights)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One ConvTranspose."""
        return (_op(shape, groups=1),)


class TransposedDepthwise(Grouped):
    """Transposed convolution with several groups: each group of columns is spread by itself."""

    name = "transposed_depthwise"
    modules: ClassVar[tuple[type[nn.Module], ...]] = MODULES
    functions: ClassVar = FUNCTIONS
    takes_sizes = True  # the output's

    def accepts(self, call: Call) -> bool:
        """More than one group."""
        found = _settings(self, call)
        return found is not None and found["groups"] > 1

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Units hold whole groups of the convolution.

        Raises:
            Apart: a group has more outputs than inputs or fewer, so that no axis of the weight
                stands along the output.
        """
        found = _settings(self, call)
        assert found is not None
        value, groups = call.values[0], found["groups"]
        each = found["shape"][0] // groups
        if each != found["shape"][1]:
            raise Apart(
                f"a group of a transposed convolution has {each} inputs "
                f"and {found['shape'][1]} outputs"
            )
        layout = read(value, 1, layouts, "is convolved along another axis")
        self.hold_named(call, groups, layout, layouts)
        layout = layouts.blocks(layout, each)
        return Through(reads=layout, in_axis=1, axis=1, writes=layout)

    def options(self, call: Call) -> dict[str, Any]:
        """Those of a dense one, and columns a group."""
        found = _settings(self, call)
        assert found is not None
        return {**_options(call, found), "each": found["shape"][1]}

    def macs(self, shape: Shape) -> int:
        """Input positions x input channels x outputs a group x kernel."""
        weights = shape.in_channels * shape["each"] * math.prod(shape["kernel"])
        return int(shape.in_positions * weights)

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        weights = shape.in_channels * shape["each"] * math.prod(shape["kernel"])
        return int(weights + (shape.out_channels if shape["bias"] else 0))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One grouped ConvTranspose."""
        return (_op(shape, groups=shape.in_channels // shape["each"]),)

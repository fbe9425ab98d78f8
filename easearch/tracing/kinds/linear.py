"""Fully connected layers, over the last axis."""

from __future__ import annotations

import operator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Parameter, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through

ATEN = torch.ops.aten
ARGUMENTS = ("input", "weight", "bias")
MATRICES = ("input", "other")


class Linear(Kind):
    """`y = x W' + b` on inputs (N, ..., F). Behind a flatten each channel owns a block of `taps`
    columns.
    """

    name = "linear"
    role = Role.MIXES
    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear,)
    functions: ClassVar = {F.linear: ARGUMENTS, ATEN.linear.default: ARGUMENTS}
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    in_axes: ClassVar = {"weight": 1}

    def accepts(self, call: Call) -> bool:
        """A batch of vectors, or of maps with the channels last; the weight is a parameter."""
        given = self.arguments(call)
        weighted = call.module is not None or isinstance(given.get("weight"), Parameter)
        return weighted and len(call.out_shape) > 1

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Reads and writes the last axis."""
        return self.mixed(call, layouts, axis=len(call.out_shape) - 1)

    def options(self, call: Call) -> dict[str, Any]:
        """Whether there is a bias."""
        if call.module is not None:
            return {"bias": call.module.bias is not None}
        return {"bias": self.arguments(call).get("bias") is not None}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new widths."""
        if isinstance(module, nn.Linear):
            module.in_features, module.out_features = in_channels, out_channels

    def macs(self, shape: Shape) -> int:
        """Positions x inputs x outputs."""
        return shape.positions * shape.in_channels * shape.out_channels

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        return shape.out_channels * (shape.in_channels + int(shape["bias"]))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Gemm; a MatMul and an Add where there are positions besides."""
        if not shape.out_size:
            return (
                Op(
                    type="Gemm",
                    weights=((shape.out_channels, shape.in_channels), (shape.out_channels,)),
                    attributes=(("transB", 1),),
                ),
            )
        return (
            Op(type="MatMul", weights=((shape.in_channels, shape.out_channels),)),
            Op(type="Add", inputs=("0",), weights=((shape.out_channels,),)),
        )


class Matmul(Linear):
    """`y = x @ W` on inputs (N, ..., F), with a parameter (F, outputs)."""

    name = "matmul"
    modules = ()
    functions: ClassVar = dict.fromkeys(
        (operator.matmul, torch.matmul, ATEN.matmul.default, ATEN.mm.default), MATRICES
    )
    methods: ClassVar = dict.fromkeys(("matmul", "mm", "__matmul__"), MATRICES)
    out_axes: ClassVar = {"other": 1}
    in_axes: ClassVar = {"other": 0}

    def accepts(self, call: Call) -> bool:
        """A value times a parameter that is a matrix."""
        given = self.arguments(call)
        other = given.get("other")
        matrix = isinstance(other, Parameter) and len(other.shape) == 2
        return matrix and isinstance(given.get("input"), Value) and len(call.out_shape) > 1

    def options(self, call: Call) -> dict[str, Any]:
        """No bias."""
        return {"bias": False}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One MatMul."""
        return (Op(type="MatMul", weights=((shape.in_channels, shape.out_channels),)),)

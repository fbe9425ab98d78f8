"""Fully connected layers on vectors."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


class Linear(Kind):
    """`y = x W' + b` on inputs (N, F). Behind a flatten each channel owns a block of `taps`
    columns.
    """

    name = "linear"
    role = Role.MIXES
    modules = (nn.Linear,)
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    in_axes: ClassVar = {"weight": 1}

    def accepts(self, call: Call) -> bool:
        """Vectors only."""
        return len(call.in_shapes[0]) == 2

    def options(self, call: Call) -> dict[str, Any]:
        """Whether there is a bias."""
        assert isinstance(call.module, nn.Linear)
        return {"bias": call.module.bias is not None}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new widths."""
        assert isinstance(module, nn.Linear)
        module.in_features, module.out_features = in_channels, out_channels

    def macs(self, shape: Shape) -> int:
        """Inputs x outputs."""
        return shape.in_channels * shape.out_channels

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        return shape.out_channels * (shape.in_channels + int(shape["bias"]))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Gemm."""
        return (
            Op(
                type="Gemm",
                weights=((shape.out_channels, shape.in_channels), (shape.out_channels,)),
                attributes=(("transB", 1),),
            ),
        )

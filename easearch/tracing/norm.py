"""Batch normalisation: per channel, `gamma (x - mu) / sqrt(var + eps) + beta`."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


class BatchNorm(Kind):
    """Batch norm over vectors or maps."""

    name = "batch_norm"
    role = Role.FOLLOWS
    modules = (nn.BatchNorm1d, nn.BatchNorm2d)
    out_axes: ClassVar = {"weight": 0, "bias": 0, "running_mean": 0, "running_var": 0}
    newborn: ClassVar = {"weight": 1.0, "running_var": 1.0}

    def options(self, call: Call) -> dict[str, Any]:
        """Whether it scales and shifts."""
        assert isinstance(call.module, nn.BatchNorm1d | nn.BatchNorm2d)
        return {"affine": call.module.affine}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new width."""
        assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        module.num_features = out_channels

    def params(self, shape: Shape) -> int:
        """Scale and shift; running statistics are not trained."""
        return 2 * shape.out_channels if shape["affine"] else 0

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A BatchNormalization, where no convolution takes it in."""
        return (Op(type="BatchNormalization", weights=((shape.out_channels,),) * 4),)

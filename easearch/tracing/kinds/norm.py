"""Batch normalisation: per channel, `gamma (x - mu) / sqrt(var + eps) + beta`."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Parameter
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, read

SCALES = ("weight", "bias", "running_mean", "running_var")
ATEN_ORDER = ("input", *SCALES)
"""Arguments of torch's own batch and instance norm; those of `nn.functional` stand otherwise."""
FUNCTIONAL_ORDER = ("input", "running_mean", "running_var", "weight", "bias")


def parameters_only(call: Call, given: dict[str, Any], names: tuple[str, ...] = SCALES) -> bool:
    """Whether scale and shift are a module's or the model's own, or there are none."""
    held = (given.get(name) for name in names)
    return call.module is not None or all(one is None or isinstance(one, Parameter) for one in held)


def at_one(call: Call, layouts: Layouts) -> Through:
    """The channels at axis 1 pass; along any other axis they cannot change."""
    layout = read(call.values[0], 1, layouts, "is normalised along another axis")
    return Through(reads=layout, in_axis=1, axis=1, writes=layout)


class BatchNorm(Kind):
    """Batch norm over vectors or maps."""

    name = "batch_norm"
    role = Role.FOLLOWS
    modules = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    functions: ClassVar = {
        F.batch_norm: FUNCTIONAL_ORDER,
        torch.batch_norm: ATEN_ORDER,
        torch.ops.aten.batch_norm.default: ATEN_ORDER,
    }
    out_axes: ClassVar = dict.fromkeys(SCALES, 0)
    newborn: ClassVar = {"weight": 1.0, "running_var": 1.0}

    def accepts(self, call: Call) -> bool:
        """Scale and shift are parameters."""
        return parameters_only(call, self.arguments(call))

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands on what stands at axis 1, as everywhere in torch."""
        return at_one(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """Whether it scales and shifts."""
        if call.module is not None:
            return {"affine": call.module.weight is not None}
        return {"affine": isinstance(self.arguments(call).get("weight"), Parameter)}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new width."""
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.num_features = out_channels

    def params(self, shape: Shape) -> int:
        """Scale and shift; running statistics are not trained."""
        return 2 * shape.out_channels if shape["affine"] else 0

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A BatchNormalization, where no convolution takes it in."""
        return (Op(type="BatchNormalization", weights=((shape.out_channels,),) * 4),)

"""Instance normalisation: every channel of every sample by the statistics of its own positions."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Parameter
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.norm import (
    ATEN_ORDER,
    FUNCTIONAL_ORDER,
    SCALES,
    at_one,
    parameters_only,
)
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through

OWN = ("use_input_stats",)


class InstanceNorm(Kind):
    """Instance norm over maps; with running statistics it is a batch norm once trained."""

    name = "instance_norm"
    role = Role.FOLLOWS
    modules: ClassVar[tuple[type[nn.Module], ...]] = (
        nn.InstanceNorm1d,
        nn.InstanceNorm2d,
        nn.InstanceNorm3d,
    )
    functions: ClassVar = {
        F.instance_norm: (*FUNCTIONAL_ORDER, *OWN),
        torch.instance_norm: (*ATEN_ORDER, *OWN),
        torch.ops.aten.instance_norm.default: (*ATEN_ORDER, *OWN),
    }
    out_axes: ClassVar = dict.fromkeys(SCALES, 0)
    newborn: ClassVar = {"weight": 1.0, "running_var": 1.0}

    def accepts(self, call: Call) -> bool:
        """Batches of maps; scale and shift are parameters."""
        batched = len(call.out_shape) > 2
        if call.module is not None:
            batched = self.modules.index(type(call.module)) + 3 == len(call.out_shape)
        return batched and parameters_only(call, self.arguments(call))

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands on what stands at axis 1, as everywhere in torch."""
        return at_one(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """Whether it scales and shifts, and whether it uses running statistics."""
        if call.module is not None:
            return {
                "affine": call.module.weight is not None,
                "tracked": call.module.running_mean is not None,
            }
        given = self.arguments(call)
        return {
            "affine": isinstance(given.get("weight"), Parameter),
            "tracked": not given.get("use_input_stats", True),
        }

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new width."""
        if isinstance(module, nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d):
            module.num_features = out_channels

    def params(self, shape: Shape) -> int:
        """Scale and shift; running statistics are not trained."""
        return 2 * shape.out_channels if shape["affine"] else 0

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """InstanceNormalization, or BatchNormalization with running statistics."""
        if shape["tracked"]:
            return (Op(type="BatchNormalization", weights=((shape.out_channels,),) * 4),)
        return (Op(type="InstanceNormalization", weights=((shape.out_channels,),) * 2),)

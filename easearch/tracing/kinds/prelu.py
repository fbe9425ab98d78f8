"""PReLU: a slope for negative numbers that is learned, one for all channels or one a channel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.norm import parameters_only
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, read

ARGUMENTS = ("input", "weight")


class PReLU(Kind):
    """`max(0, x) + weight * min(0, x)`."""

    name = "prelu"
    role = Role.FOLLOWS
    modules = (nn.PReLU,)
    functions: ClassVar = dict.fromkeys(
        (F.prelu, torch.prelu, torch.ops.aten.prelu.default), ARGUMENTS
    )
    methods: ClassVar = {"prelu": ARGUMENTS}
    out_axes: ClassVar = {"weight": 0}
    newborn: ClassVar = {"weight": 0.25}

    def accepts(self, call: Call) -> bool:
        """The weight is a parameter."""
        return parameters_only(call, self.arguments(call), ("weight",))

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on; slopes of their own stand along axis 1."""
        if self._slopes(call) == 1:
            return super().through(call, layouts)
        layout = read(call.values[0], 1, layouts, "is bent along another axis")
        return Through(reads=layout, in_axis=1, axis=1, writes=layout)

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The slopes; a single one belongs to no channel."""
        held = super().tensors(call)
        shared = self._slopes(call) == 1
        return tuple(replace(one, rows=None) for one in held) if shared else held

    def options(self, call: Call) -> dict[str, Any]:
        """Whether all channels share one slope."""
        return {"shared": self._slopes(call) == 1}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the number of slopes."""
        if isinstance(module, nn.PReLU):
            module.num_parameters = module.weight.numel()

    def params(self, shape: Shape) -> int:
        """A slope a channel, or one."""
        return 1 if shape["shared"] else shape.out_channels

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One PRelu."""
        slopes = (1,) if shape["shared"] else (shape.out_channels, *(1 for _ in shape.out_size))
        return (Op(type="PRelu", weights=(slopes,)),)

    def _slopes(self, call: Call) -> int:
        if isinstance(call.module, nn.PReLU):
            return call.module.weight.numel()
        return math.prod(self.arguments(call)["weight"].shape)

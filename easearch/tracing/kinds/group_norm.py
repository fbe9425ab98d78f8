"""Group normalisation: neighbouring channels share a mean and a variance."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.norm import at_one, parameters_only
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through

ARGUMENTS = ("input", "num_groups", "weight", "bias")


class GroupNorm(Kind):
    """Group norm over vectors or maps: a unit holds whole groups of the norm, so that a copy has
    the mean and the variance of its original.
    """

    name = "group_norm"
    role = Role.FOLLOWS
    modules = (nn.GroupNorm,)
    functions: ClassVar = dict.fromkeys(
        (F.group_norm, torch.group_norm, torch.ops.aten.group_norm.default), ARGUMENTS
    )
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    newborn: ClassVar = {"weight": 1.0}

    def accepts(self, call: Call) -> bool:
        """Scale and shift are parameters."""
        return parameters_only(call, self.arguments(call), ARGUMENTS[2:])

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on, in blocks of a group of the norm."""
        value, number = call.values[0], self._number(call)
        layout = at_one(call, layouts).reads
        norm = call.module or call.owner
        if number == 1:
            layouts.freeze(
                layout,
                "a group norm normalises over all channels: "
                "a copy would change the mean and variance of all",
            )
        elif not isinstance(norm, nn.GroupNorm) or norm.num_groups != number:
            layouts.freeze(layout, f"the code names the number of groups of a norm, {number}")
        else:
            try:
                layout = layouts.blocks(layout, value.shape[1] // number)
            except Apart as apart:
                layouts.freeze(layout, f"a group norm normalises several together: {apart}")
        return Through(reads=layout, in_axis=1, axis=1, writes=layout)

    def options(self, call: Call) -> dict[str, Any]:
        """Channels a group, and whether it scales and shifts."""
        weight = self.arguments(call).get("weight") if call.module is None else call.module.weight
        return {
            "each": call.values[0].shape[1] // self._number(call),
            "affine": weight is not None,
        }

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new width and number of groups."""
        if isinstance(module, nn.GroupNorm):
            each = module.num_channels // module.num_groups
            module.num_channels, module.num_groups = out_channels, out_channels // each

    def params(self, shape: Shape) -> int:
        """Scale and shift."""
        return 2 * shape.out_channels if shape["affine"] else 0

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """An InstanceNormalization of the groups, then scale and shift, as torch exports it."""
        channels, size = shape.out_channels, shape.out_size
        number = channels // shape["each"]
        scales = (channels, *(1 for _ in size))
        return (
            Op(type="Reshape", integers=((shape.out_batch, number, -1),)),
            Op(type="InstanceNormalization", inputs=("0",), weights=((number,),) * 2),
            Op(type="Reshape", inputs=("1",), integers=((shape.out_batch, channels, *size),)),
            Op(type="Mul", inputs=("2",), weights=(scales,)),
            Op(type="Add", inputs=("3",), weights=(scales,)),
        )

    def _number(self, call: Call) -> int:
        if isinstance(call.module, nn.GroupNorm):
            return call.module.num_groups
        return int(self.arguments(call)["num_groups"])

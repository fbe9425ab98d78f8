"""Gated linear units: one half of the channels times the sigmoid of the other."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, axis_of


class GLU(Kind):
    """`a * sigmoid(b)` of two halves: the channels of both are one group, which stands twice in
    what is read.
    """

    name = "glu"
    role = Role.FOLLOWS
    modules = (nn.GLU,)
    functions: ClassVar = dict.fromkeys((F.glu, torch.ops.aten.glu.default), ("input", "dim"))

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Ties the halves; along positions the channels pass.

        Raises:
            Apart: the halves cannot be brought together.
        """
        value, axis = call.values[0], self._axis(call)
        if value.axis != axis:
            return super().through(call, layouts)
        half = call.out_shape[axis]
        gated, gate = layouts.cut(value.layout, (half, half))
        layouts.tie(gated, gate)
        return Through(reads=value.layout, in_axis=axis_of(value), axis=axis, writes=gated)

    def options(self, call: Call) -> dict[str, Any]:
        """The axis that is halved."""
        return {"axis": self._axis(call)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Two Slices, a Sigmoid and a Mul."""
        axis = shape["axis"]
        half = shape.out_shape[axis]
        return (
            Op(type="Slice", integers=((0,), (half,), (axis,))),
            Op(type="Slice", integers=((half,), (2 * half,), (axis,))),
            Op(type="Sigmoid", inputs=("1",)),
            Op(type="Mul", inputs=("0", "2")),
        )

    def _axis(self, call: Call) -> int:
        given = call.module.dim if isinstance(call.module, nn.GLU) else None
        if given is None:
            given = self.arguments(call).get("dim", -1)
        return int(given) % len(call.out_shape)

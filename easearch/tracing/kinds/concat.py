"""Concatenation: along the channels groups come to lie side by side, along other axes they are
tied.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, tied

ARGUMENTS = ("tensors", "dim")


class Concat(Kind):
    """`cat(tensors, dim)`."""

    name = "concat"
    role = Role.TIES
    functions: ClassVar = dict.fromkeys(
        (torch.cat, torch.concat, torch.concatenate, torch.ops.aten.cat.default), ARGUMENTS
    )

    def accepts(self, call: Call) -> bool:
        """Values only."""
        return bool(call.values) and not call.parameters

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Side by side along the channels; elsewhere tied."""
        axis = self._axis(call)
        known = {v.axis for v in call.values if v.axis is not None}
        if axis not in known:
            return tied(call, layouts)
        if known != {axis}:
            raise Apart("its inputs have their channels along different axes")
        parts = [
            v.layout if v.axis == axis else layouts.begin(v.shape[axis], v.unknown)
            for v in call.values
        ]
        joined = tuple(segment for part in parts for segment in part)
        return Through(reads=joined, in_axis=axis, axis=axis, writes=joined)

    def options(self, call: Call) -> dict[str, Any]:
        """The axis, counted from the end, and how many tensors."""
        return {"axis": self._axis(call) - len(call.out_shape), "inputs": len(call.values)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Concat."""
        inputs = tuple(f"x{number or ''}" for number in range(shape["inputs"]))
        return (Op(type="Concat", inputs=inputs, attributes=(("axis", shape["axis"]),)),)

    def _axis(self, call: Call) -> int:
        axis: int = self.arguments(call).get("dim", 0)
        return axis % len(call.out_shape)


class Stack(Kind):
    """`stack(tensors, dim)`: tied, along a new axis."""

    name = "stack"
    role = Role.TIES
    functions: ClassVar = dict.fromkeys((torch.stack, torch.ops.aten.stack.default), ARGUMENTS)

    def accepts(self, call: Call) -> bool:
        """Values only."""
        return bool(call.values) and not call.parameters

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The channels move back where the new axis stands before them."""
        axis = self.arguments(call).get("dim", 0) % len(call.out_shape)
        known = [v for v in call.values if v.axis is not None]
        if not known:
            return Through(reads=(), in_axis=1, axis=None, writes=())
        first = known[0]
        for value in call.values:
            if value.axis is None:
                layouts.freeze(first.layout, value.unknown)
            elif value.axis != first.axis:
                raise Apart("its inputs have their channels along different axes")
            else:
                layouts.tie(first.layout, value.layout)
        assert first.axis is not None
        moved = first.axis + (axis <= first.axis)
        return Through(reads=first.layout, in_axis=first.axis, axis=moved, writes=first.layout)

    def options(self, call: Call) -> dict[str, Any]:
        """The new axis, and how many tensors."""
        axis = self.arguments(call).get("dim", 0) % len(call.out_shape)
        return {"axis": axis, "inputs": len(call.values)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Every input with an axis more, then one Concat."""
        many = range(shape["inputs"])
        axes = ((shape["axis"],),)
        unsqueezed = tuple(
            Op(type="Unsqueeze", inputs=(f"x{number or ''}",), integers=axes) for number in many
        )
        joined = Op(
            type="Concat",
            inputs=tuple(str(number) for number in many),
            attributes=(("axis", shape["axis"]),),
        )
        return (*unsqueezed, joined)

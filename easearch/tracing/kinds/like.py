"""Tensors of the form that another one has: spread or viewed like it, or filled with one number."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.elementwise import Elementwise
from easearch.tracing.kinds.reshape import Reshape
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through

ATEN = torch.ops.aten
TWO = ("input", "other")


class ExpandAs(Elementwise):
    """`x.expand_as(y)`: the channels of both are the same; one that is spread over many is not."""

    name = "expand_as"
    functions: ClassVar = {ATEN.expand_as.default: TWO}
    methods: ClassVar = {"expand_as": TWO}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Expand."""
        weights = tuple(self.weights(shape).values())
        if weights:
            return (Op(type="Expand", inputs=(), weights=weights, integers=(shape.out_shape,)),)
        return (Op(type="Expand", integers=(shape.out_shape,)),)


class ViewAs(Reshape):
    """`x.view_as(y)`: the channels go where those of `y` stand."""

    name = "view_as"
    modules: ClassVar[tuple[type[nn.Module], ...]] = ()
    functions: ClassVar = dict.fromkeys((ATEN.view_as.default, ATEN.reshape_as.default), TWO)
    methods: ClassVar = dict.fromkeys(("view_as", "reshape_as"), TWO)

    def accepts(self, call: Call) -> bool:
        """Two values."""
        return len(call.values) == 2 and isinstance(self.arguments(call)["input"], Value)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """As a reshape does, and what comes out is as wide as the other tensor.

        Raises:
            Apart: the channels do not come to lie on the other tensor's.
        """
        found, other = super().through(call, layouts), call.values[1]
        if found.axis is None:
            layouts.freeze(other.layout, f"'{call.values[0].source}' takes its sizes")
            return found
        if other.axis != found.axis:
            layouts.freeze(other.layout, "another tensor takes its sizes")
            raise Apart("the other tensor has its channels along another axis")
        layouts.tie(found.writes, other.layout)
        return found


class Fill(Kind):
    """`zeros_like(x)` and its like: numbers that no channel passes, as many as `x` has."""

    name = "fill"
    role = Role.FOLLOWS
    functions: ClassVar = {
        **dict.fromkeys((torch.zeros_like, torch.ones_like), ("input",)),
        **dict.fromkeys((ATEN.zeros_like.default, ATEN.ones_like.default), ("input",)),
        **dict.fromkeys((torch.full_like, ATEN.full_like.default), ("input", "fill_value")),
    }

    def accepts(self, call: Call) -> bool:
        """A value; of floating numbers, or one is no layer."""
        return bool(call.values)

    def options(self, call: Call) -> dict[str, Any]:
        """Nothing: it is the copying that costs, and sizes say how much."""
        return {}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Expand of a number."""
        ones = ((1,) * len(shape.out_shape),)
        return (Op(type="Expand", inputs=(), weights=ones, integers=(shape.out_shape,)),)

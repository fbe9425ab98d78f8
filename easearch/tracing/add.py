"""Residual addition: ties the groups of its inputs into one."""

from __future__ import annotations

import operator

import torch

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


class Add(Kind):
    """`a + b` of two values of one shape."""

    name = "add"
    role = Role.TIES
    functions = (operator.add, operator.iadd, torch.add)
    methods = ("add", "add_")

    def accepts(self, call: Call) -> bool:
        """Two tensors, nothing broadcast, nothing scaled."""
        return (
            len(call.in_shapes) == 2
            and call.in_shapes[0] == call.in_shapes[1]
            and "alpha" not in call.kwargs
        )

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Add."""
        return (Op(type="Add", inputs=("x", "x1")),)

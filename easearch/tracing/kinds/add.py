"""Sums and products, number by number: residual additions, gates, scales.

Two tensors are tied into one group; a parameter of the model's belongs to the channels along which
it stands; a number touches nothing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, ClassVar

import torch

from easearch.graph import Held, Shape
from easearch.tracing.call import Call, Parameter, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.numbers import plain
from easearch.tracing.through import axis_of

ATEN = torch.ops.aten
OPERANDS = ("input", "other")
NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}


def _functions(*functions: Any) -> dict[Any, tuple[str, ...]]:
    return dict.fromkeys(functions, OPERANDS)


class _Arithmetic(Kind):
    """`a op b`, of two values, or of a value with a parameter or a number."""

    role = Role.TIES
    signs: ClassVar[dict[str, str]]
    """ONNX operator -> how names of functions that it stands for begin."""

    def accepts(self, call: Call) -> bool:
        """At least one operand is a value."""
        return bool(call.values)

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The parameter, with its axis along the channels if it has one."""
        place = _place(call)
        return tuple(
            Held(role="other", path=p.path, rows=_row(p, place, call)) for p in call.parameters
        )

    def options(self, call: Call) -> dict[str, Any]:
        """The operator; the numbers a channel and besides of a parameter; the sizes of inputs that
        are spread over others.
        """
        found: dict[str, Any] = {"function": self._function(call)}
        place = _place(call)
        for parameter in call.parameters:
            row = _row(parameter, place, call)
            spread = tuple(size for axis, size in enumerate(parameter.shape) if axis != row)
            found["parameter"] = (row is not None, math.prod(spread))
        sizes = tuple(_rest(v.shape, place, len(call.out_shape)) for v in call.values)
        if len(set(sizes)) > 1:
            found["sizes"] = sizes
        if len(call.values) + len(call.parameters) == 1:
            found["number"] = True
            if self._neutral(call, found["function"]):
                found["neutral"] = True
        return found

    def params(self, shape: Shape) -> int:
        """The parameter's numbers."""
        along, besides = dict(shape.options).get("parameter", (False, 0))
        return int(besides * (shape.out_channels if along else 1))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One operator."""
        options = dict(shape.options)
        if "parameter" in options:
            along, besides = options["parameter"]
            # One number a position, or else the same ones at all positions.
            sizes = (
                list(shape.out_shape) if besides == shape.positions else [1] * len(shape.out_shape)
            )
            if shape.out_axis is not None:
                sizes[shape.out_axis] = shape.out_channels if along else 1
            return (Op(type=options["function"], weights=(tuple(sizes),)),)
        if "number" in options:
            return (Op(type=options["function"], scalars=(1.5,)),)
        return (Op(type=options["function"], inputs=("x", "x1")),)

    def _neutral(self, call: Call, function: str) -> bool:
        """Whether the number leaves every other as it is: `1 * x`, `x - 0`, not `0 - x`."""
        first, *others = (*call.args, *(call.kwargs[k] for k in ("other",) if k in call.kwargs))
        number = plain(others[0] if others and isinstance(first, Value) else first)
        backward = not isinstance(first, Value) or "rsub" in str(call.target)
        if backward and function in ("Sub", "Div"):
            return False
        return isinstance(number, int | float) and number == NEUTRAL[function]

    def _function(self, call: Call) -> str:
        name = call.target if isinstance(call.target, str) else call.target.__name__
        return next(sign for start, sign in self.signs.items() if start in name)


class Add(_Arithmetic):
    """`a + b` and `a - b`: ties the groups of a residual stream into one."""

    name = "add"
    signs: ClassVar = {"sub": "Sub", "add": "Add"}
    functions: ClassVar = _functions(
        *(operator.add, operator.iadd, operator.sub, operator.isub),
        *(torch.add, torch.sub, torch.subtract, torch.rsub),
        *(ATEN.add.Tensor, ATEN.add_.Tensor, ATEN.sub.Tensor, ATEN.sub_.Tensor),
        *(ATEN.add.Scalar, ATEN.sub.Scalar, ATEN.rsub.Scalar),
    )
    methods: ClassVar = dict.fromkeys(("add", "add_", "sub", "sub_"), OPERANDS)


class Mul(_Arithmetic):
    """`a * b` and `a / b`: gates, masks and scales."""

    name = "mul"
    signs: ClassVar = {"div": "Div", "mul": "Mul"}
    newborn: ClassVar = {"other": 1.0}
    functions: ClassVar = _functions(
        *(operator.mul, operator.imul, operator.truediv, operator.itruediv),
        *(torch.mul, torch.multiply, torch.div, torch.divide, torch.true_divide),
        *(ATEN.mul.Tensor, ATEN.mul_.Tensor, ATEN.div.Tensor, ATEN.div_.Tensor),
        *(ATEN.mul.Scalar, ATEN.div.Scalar),
    )
    methods: ClassVar = dict.fromkeys(("mul", "mul_", "div", "div_"), OPERANDS)


def _place(call: Call) -> int | None:
    """Where the channels stand, counted from the end."""
    known = [v for v in call.values if v.axis is not None]
    return axis_of(known[0]) - len(known[0].shape) if known else None


def _row(parameter: Parameter, place: int | None, call: Call) -> int | None:
    """The parameter's axis along the channels; None where one number serves all of them."""
    if place is None or -place > len(parameter.shape):
        return None
    along = parameter.shape[place] > 1 or call.out_shape[place] == 1
    return len(parameter.shape) + place if along else None


def _rest(shape: Iterable[int], place: int | None, dims: int) -> tuple[int, ...]:
    whole = (1,) * (dims - len(tuple(shape))) + tuple(shape)
    axis = None if place is None else dims + place
    return tuple(size for at, size in enumerate(whole) if at not in (0, axis))

"""Sums and products, number by number: residual additions, gates, scales."""

from __future__ import annotations

import operator
from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Op
from easearch.tracing.kinds.elementwise import Elementwise, function_name
from easearch.tracing.kinds.numbers import plain

ATEN = torch.ops.aten
OPERANDS = ("input", "other")
NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}


def _functions(*functions: Any) -> dict[Any, tuple[str, ...]]:
    return dict.fromkeys(functions, OPERANDS)


class _Arithmetic(Elementwise):
    """`a op b`, of two values, or of a value with a parameter or a number."""

    signs: ClassVar[dict[str, str]]
    """ONNX operator -> how names of functions that it stands for begin."""

    def named(self, call: Call) -> dict[str, Any]:
        """A parameter is the other operand, wherever it stands."""
        held = (*call.parameters, *call.computed)
        return {"other": held[0]} if held else {}

    def options(self, call: Call) -> dict[str, Any]:
        """The operator, what is known of parameters, and whether a number is the other operand."""
        name = function_name(call.target)
        function = next(sign for start, sign in self.signs.items() if start in name)
        found = {"function": function, **super().options(call)}
        if len(call.values) == 1 and "parameters" not in found:
            found["number"] = True
            if self._neutral(call, function):
                found["neutral"] = True
        return found

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One operator."""
        options, weights = dict(shape.options), self.weights(shape)
        if weights:
            return (Op(type=options["function"], weights=tuple(weights.values())),)
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
    newborn: ClassVar = {**Elementwise.newborn, "other": 1.0}
    functions: ClassVar = _functions(
        *(operator.mul, operator.imul, operator.truediv, operator.itruediv),
        *(torch.mul, torch.multiply, torch.div, torch.divide, torch.true_divide),
        *(ATEN.mul.Tensor, ATEN.mul_.Tensor, ATEN.div.Tensor, ATEN.div_.Tensor),
        *(ATEN.mul.Scalar, ATEN.div.Scalar),
    )
    methods: ClassVar = dict.fromkeys(("mul", "mul_", "div", "div_"), OPERANDS)

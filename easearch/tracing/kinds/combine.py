"""Functions of several tensors, number by number, beside sums and products: choices, extremes,
mixtures, comparisons.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call, Computed, Parameter, Value
from easearch.tracing.kind import Op
from easearch.tracing.kinds.elementwise import Elementwise

ATEN = torch.ops.aten
TWO = ("input", "other")
FLOAT, BOOL = (("to", 1),), (("to", 9),)
"""ONNX numbers of types: comparisons give truth values, which layers hand on as numbers."""


@dataclass(frozen=True, kw_only=True)
class _Function:
    """The names of the arguments, and the operators on operands `a`, `b`, `c`."""

    names: tuple[str, ...]
    ops: Callable[[list[str]], tuple[Op, ...]]


def _one(kind: str) -> Callable[[list[str]], tuple[Op, ...]]:
    return lambda x: (Op(type=kind, inputs=tuple(x)),)


def _compared(kind: str) -> Callable[[list[str]], tuple[Op, ...]]:
    return lambda x: (
        Op(type=kind, inputs=tuple(x)),
        Op(type="Cast", inputs=("0",), attributes=FLOAT),
    )


def _logical(kind: str) -> Callable[[list[str]], tuple[Op, ...]]:
    def made(x: list[str]) -> tuple[Op, ...]:
        casts = tuple(Op(type="Cast", inputs=(one,), attributes=BOOL) for one in x)
        number = str(len(casts))
        inputs = tuple(str(place) for place in range(len(casts)))
        return (
            *casts,
            Op(type=kind, inputs=inputs),
            Op(type="Cast", inputs=(number,), attributes=FLOAT),
        )

    return made


def _where(x: list[str]) -> tuple[Op, ...]:
    return (
        Op(type="Cast", inputs=(x[0],), attributes=BOOL),
        Op(type="Where", inputs=("0", *x[1:])),
    )


def _lerp(x: list[str]) -> tuple[Op, ...]:
    return (
        Op(type="Sub", inputs=(x[1], x[0])),
        Op(type="Mul", inputs=("0", *x[2:])),
        Op(type="Add", inputs=(x[0], "1")),
    )


def _added(kind: str) -> Callable[[list[str]], tuple[Op, ...]]:
    return lambda x: (Op(type=kind, inputs=tuple(x[1:3])), Op(type="Add", inputs=(x[0], "0")))


def _clamp(x: list[str]) -> tuple[Op, ...]:
    return (
        Op(type="Max", inputs=tuple(x[:2])),
        *(Op(type="Min", inputs=("0", one)) for one in x[2:]),
    )


_COMPARISONS = {
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "lt": "Less",
    "le": "LessOrEqual",
    "eq": "Equal",
    "greater": "Greater",
    "less": "Less",
}
FUNCTIONS: dict[str, _Function] = {
    "maximum": _Function(names=TWO, ops=_one("Max")),
    "minimum": _Function(names=TWO, ops=_one("Min")),
    "where": _Function(names=("condition", "input", "other"), ops=_where),
    "masked_fill": _Function(names=("input", "mask", "value"), ops=_where),
    "lerp": _Function(names=("input", "end", "weight"), ops=_lerp),
    "addcmul": _Function(names=("input", "tensor1", "tensor2"), ops=_added("Mul")),
    "addcdiv": _Function(names=("input", "tensor1", "tensor2"), ops=_added("Div")),
    "clamp": _Function(names=("input", "min", "max"), ops=_clamp),
    "pow": _Function(names=("input", "exponent"), ops=_one("Pow")),
    "fmod": _Function(names=TWO, ops=_one("Mod")),
    "atan2": _Function(names=TWO, ops=_one("Div")),
    **{name: _Function(names=TWO, ops=_compared(kind)) for name, kind in _COMPARISONS.items()},
    "ne": _Function(names=TWO, ops=_compared("Equal")),
    "logical_and": _Function(names=TWO, ops=_logical("And")),
    "logical_or": _Function(names=TWO, ops=_logical("Or")),
    "logical_xor": _Function(names=TWO, ops=_logical("Xor")),
    "logical_not": _Function(names=("input",), ops=_logical("Not")),
    **{name: _Function(names=("input",), ops=_one(name.title())) for name in ("sign", "floor")},
    **{name: _Function(names=("input",), ops=_one(name.title())) for name in ("ceil", "round")},
}
_OTHER: dict[Any, str] = {
    **dict.fromkeys((torch.max, "max"), "maximum"),
    **dict.fromkeys((torch.min, "min"), "minimum"),
    **{getattr(operator, name): name for name in ("gt", "ge", "lt", "le", "eq", "ne", "pow")},
    operator.and_: "logical_and",
    operator.or_: "logical_or",
    operator.xor: "logical_xor",
    operator.invert: "logical_not",
    **dict.fromkeys(("__and__", "bitwise_and", torch.bitwise_and), "logical_and"),
    **dict.fromkeys(("__or__", "bitwise_or", torch.bitwise_or), "logical_or"),
    **dict.fromkeys(("bitwise_not", torch.bitwise_not), "logical_not"),
    **dict.fromkeys((torch.clip, "clip"), "clamp"),
}
"""Other ways to write them."""


def _spelled() -> dict[Any, str]:
    """Every function, method and ATen operator -> the function."""
    found: dict[Any, str] = dict(_OTHER)
    for name in FUNCTIONS:
        found[name] = name
        if hasattr(torch, name):
            found[getattr(torch, name)] = name
        packet = getattr(ATEN, name, None)
        for overload in packet.overloads() if packet is not None else ():
            if "out" not in overload.lower():
                found[getattr(packet, overload)] = name
    for aten, name in (("bitwise_and", "logical_and"), ("bitwise_or", "logical_or")):
        found[getattr(ATEN, aten).Tensor] = name
    found[ATEN.bitwise_not.default] = "logical_not"
    for pair, name in (("max", "maximum"), ("min", "minimum")):
        found[getattr(ATEN, pair).other] = name
    return found


_BY_TARGET = _spelled()


class Combine(Elementwise):
    """`where`, `maximum`, `minimum`, `lerp`, `addcmul`, bounds that are tensors, comparisons."""

    name = "combine"
    functions: ClassVar = {
        target: FUNCTIONS[name].names
        for target, name in _BY_TARGET.items()
        if not isinstance(target, str)
    }
    methods: ClassVar = {
        target: FUNCTIONS[name].names
        for target, name in _BY_TARGET.items()
        if isinstance(target, str)
    }
    newborn: ClassVar = {**Elementwise.newborn, "exponent": 1.0, "tensor2": 1.0}

    def accepts(self, call: Call) -> bool:
        """Several operands; an extreme along an axis is something else."""
        given, function = self.arguments(call), _BY_TARGET[call.target]
        names = FUNCTIONS[function].names
        tensors = [n for n, v in given.items() if isinstance(v, Value | Parameter | Computed)]
        if not call.values or not set(tensors) <= set(names) or given.get("out") is not None:
            return False
        if function in ("maximum", "minimum"):
            return len(tensors) == 2
        if function in ("round", "clamp", "pow"):
            return len(given) == 1 if function == "round" else len(tensors) > 1
        return len(given) >= len(names)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Operands by name; of `x.where(condition, y)` the condition comes second."""
        given = super().arguments(call)
        if call.target == "where":
            order = ("input", "condition", "other")
            given = call.bound(order)
        return given

    def options(self, call: Call) -> dict[str, Any]:
        """The function, its operands in order, and what is known of parameters."""
        function = _BY_TARGET[call.target]
        given, order = self.arguments(call), list[str | float]()
        values = [name for name, one in given.items() if isinstance(one, Value)]
        for name in FUNCTIONS[function].names:
            one = given.get(name)
            if isinstance(one, Value):
                order.append(f"x{values.index(name) or ''}")
            elif isinstance(one, Parameter | Computed):
                order.append(name)
            elif isinstance(one, int | float):
                order.append(float(one))
        return {"function": function, "operands_in_order": tuple(order), **super().options(call)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """The function's own operators."""
        options, weights = dict(shape.options), self.weights(shape)
        made = FUNCTIONS[options["function"]].ops([str(n) for n in options["operands_in_order"]])
        return tuple(_filled(op, weights) for op in made)


def _filled(op: Op, weights: dict[str, tuple[int, ...]]) -> Op:
    """Parameters and numbers behind the operator's inputs."""
    inputs = tuple(one for one in op.inputs if one.startswith("x") or one.isdigit())
    return Op(
        type=op.type,
        inputs=inputs,
        weights=tuple(weights[one] for one in op.inputs if one in weights),
        scalars=tuple(float(one) for one in op.inputs if one not in weights and one not in inputs),
        attributes=op.attributes,
    )

"""Products of two values: matrices that meet matrices, as in attention."""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar

import torch

from easearch.graph import Held, Shape
from easearch.tracing.call import Call, Parameter, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, axis_of, one_sample

ATEN = torch.ops.aten
_MATMUL = ("input", "other")
_EINSUM = (torch.einsum, ATEN.einsum.default)
WHY = "it takes inner products over its channels"


class Product(Kind):
    """Inner products of two values: what is summed over stands in both, and neither may change.

    Nothing is known of the channels of the result.
    """

    name = "product"
    role = Role.MIXES
    functions: ClassVar = {
        **dict.fromkeys((torch.matmul, operator.matmul, torch.bmm, torch.mm), _MATMUL),
        **dict.fromkeys((ATEN.matmul.default, ATEN.bmm.default, ATEN.mm.default), _MATMUL),
        **dict.fromkeys(_EINSUM, ("equation",)),
    }
    methods: ClassVar = dict.fromkeys(("matmul", "bmm", "mm", "__matmul__"), _MATMUL)

    def accepts(self, call: Call) -> bool:
        """Two operands, one of them a value at least; both with samples in front in a matmul."""
        operands = _operands(call)
        if call.target in _EINSUM:
            return len(operands) == 2 and bool(call.values)
        return len(operands) == 2 and bool(call.values) and len(call.out_shape) > 1

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Freezes what comes in."""
        for value in call.values:
            layouts.freeze(value.layout, f"'{value.source}' meets another value: {WHY}")
        first = call.values[0]
        return Through(reads=first.layout, in_axis=axis_of(first), axis=None, writes=())

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """A parameter that is an operand; it is not to change either."""
        return tuple(Held(role="other", path=one.path) for one in call.parameters)

    def options(self, call: Call) -> dict[str, Any]:
        """How many numbers are summed for one of the result, the sizes of all operands, and how
        many numbers of them are parameters.
        """
        operands = _operands(call)
        sizes = tuple(one.shape for one in operands)
        options: dict[str, Any] = {
            "operands": tuple(
                one_sample(one.shape, call.batch) if isinstance(one, Value) else one.shape
                for one in operands
            ),
            "inner": sizes[0][-1],
        }
        if call.target in _EINSUM:
            equation = _equation(call)
            options |= {"equation": equation, "inner": _summed(equation, sizes)}
        own = sum(math.prod(one.shape) for one in call.parameters)
        return {**options, "own": own} if own else options

    def macs(self, shape: Shape) -> int:
        """Numbers of the result x numbers summed for each."""
        return int(shape.positions * shape["inner"])

    def params(self, shape: Shape) -> int:
        """Those of an operand that is a parameter."""
        return int(dict(shape.options).get("own", 0))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One MatMul or Einsum; a parameter among the operands is a weight."""
        options = dict(shape.options)
        other = (("x",), (options["operands"][1],)) if "own" in options else (("x", "x1"), ())
        inputs, weights = other
        if "equation" in options:
            attributes = (("equation", options["equation"]),)
            return (Op(type="Einsum", inputs=inputs, weights=weights, attributes=attributes),)
        return (Op(type="MatMul", inputs=inputs, weights=weights),)


def _operands(call: Call) -> tuple[Value | Parameter, ...]:
    given = (*call.args, *call.kwargs.values())
    flat = [x for one in given for x in (one if isinstance(one, tuple | list) else (one,))]
    return tuple(one for one in flat if isinstance(one, Value | Parameter))


def _equation(call: Call) -> str:
    """The equation with its result written out."""
    found = str(call.argument("equation", 0)).replace(" ", "")
    if "->" not in found:
        ins = found.replace(",", "").replace("...", "")
        once = sorted(letter for letter in set(ins) if ins.count(letter) == 1)
        found += "->" + ("..." if "..." in found else "") + "".join(once)
    return found


def _summed(equation: str, sizes: tuple[tuple[int, ...], ...]) -> int:
    """Numbers summed for one number of the result."""
    ins, out = equation.split("->")
    by_letter: dict[str, int] = {}
    for term, size in zip(ins.split(","), sizes, strict=True):
        before, _, behind = term.partition("...")
        by_letter |= dict(zip(before, size, strict=False))
        by_letter |= dict(zip(reversed(behind), reversed(size), strict=False))
    return math.prod(size for letter, size in by_letter.items() if letter not in out)

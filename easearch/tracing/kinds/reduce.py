"""Sums, means and extremes over axes other than the channels'."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.numbers import axes, check_over
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
_PLAIN = ("input", "dim", "keepdim")
_SPREAD = ("input", "dim", "unbiased", "keepdim")
_CORRECTED = ("input", "dim", "correction", "keepdim")
_NORM = ("input", "ord", "dim", "keepdim")
_ONNX = {
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "amax": "ReduceMax",
    "amin": "ReduceMin",
    "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
    "norm": "ReduceL2",
}
_CALLS: dict[Any, tuple[str, tuple[str, ...]]] = {
    **{getattr(torch, n): (n, _PLAIN) for n in _ONNX if n != "norm"},
    **{getattr(torch, n): (n, _SPREAD) for n in ("std", "var")},
    **{n: (n, _PLAIN) for n in _ONNX if n != "norm"},
    **{n: (n, _SPREAD) for n in ("std", "var")},
    **dict.fromkeys((torch.max, "max", ATEN.max.dim), ("amax", _PLAIN)),
    **dict.fromkeys((torch.min, "min", ATEN.min.dim), ("amin", _PLAIN)),
    **dict.fromkeys((torch.norm, "norm", torch.linalg.vector_norm), ("norm", _NORM)),
    ATEN.linalg_vector_norm.default: ("norm", _NORM),
    ATEN.mean.dim: ("mean", _PLAIN),
    ATEN.sum.dim_IntList: ("sum", _PLAIN),
    ATEN.amax.default: ("amax", _PLAIN),
    ATEN.amin.default: ("amin", _PLAIN),
    ATEN.prod.dim_int: ("prod", _PLAIN),
    ATEN.logsumexp.default: ("logsumexp", _PLAIN),
    ATEN.std.dim: ("std", _SPREAD),
    ATEN.var.dim: ("var", _SPREAD),
    ATEN.std.correction: ("std", _CORRECTED),
    ATEN.var.correction: ("var", _CORRECTED),
}
"""Function or method -> what it gives, and the names of its arguments."""


class Reduce(Kind):
    """One number for all places along some axes, channel by channel."""

    name = "reduce"
    role = Role.FOLLOWS
    functions: ClassVar = {t: names for t, (_, names) in _CALLS.items() if not isinstance(t, str)}
    methods: ClassVar = {t: names for t, (_, names) in _CALLS.items() if isinstance(t, str)}

    def accepts(self, call: Call) -> bool:
        """One tensor (`torch.max(a, b)` of two is something else); a norm only of squares."""
        given = self._given(call)
        square = given.get("ord", 2) in (2, "fro", None)
        if call.parameters:
            return False
        return len(call.values) == 1 and isinstance(given.get("input"), Value) and square

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The channels, at a place further to the front where axes before them are dropped.

        Raises:
            Apart: it goes over the channels or the batch, or gives positions.
        """
        value, over = call.values[0], self._axes(call)
        check_over(call, over)
        if value.axis is None:
            return super().through(call, layouts)
        if value.axis in over:
            raise Apart("it mixes the channels")
        keeps = len(call.out_shape) == len(value.shape)
        dropped = 0 if keeps else sum(axis < value.axis for axis in over)
        return Through(
            reads=value.layout,
            in_axis=axis_of(value),
            axis=value.axis - dropped,
            writes=value.layout,
        )

    def options(self, call: Call) -> dict[str, Any]:
        """What is taken, over which axes, and whether these stay."""
        return {
            "function": _CALLS[call.target][0],
            "axes": self._axes(call),
            "keeps": len(call.out_shape) == len(call.values[0].shape),
        }

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A Reduce operator; a variance and a deviation are made of means."""
        over, keeps = (shape["axes"],), (("keepdims", int(shape["keeps"])),)
        if shape["function"] in _ONNX:
            return (Op(type=_ONNX[shape["function"]], integers=over, attributes=keeps),)
        variance = (
            Op(type="ReduceMean", integers=over, attributes=(("keepdims", 1),)),
            Op(type="Sub", inputs=("x", "0")),
            Op(type="Mul", inputs=("1", "1")),
            Op(type="ReduceMean", inputs=("2",), integers=over, attributes=keeps),
        )
        return (
            variance if shape["function"] == "var" else (*variance, Op(type="Sqrt", inputs=("3",)))
        )

    def _given(self, call: Call) -> dict[str, Any]:
        # numpy's names are understood as well; those of a norm differ between its functions
        alike = {"axis": "dim", "keepdims": "keepdim", "p": "ord"}
        return {alike.get(name, name): value for name, value in self.arguments(call).items()}

    def _axes(self, call: Call) -> tuple[int, ...]:
        given = self._given(call).get("dim")
        # `x.std(False)`: the flag stands where the axes would
        return axes(None if isinstance(given, bool) else given, len(call.values[0].shape))

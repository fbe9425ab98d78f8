"""Functions that go along the positions of every channel: turned, reversed, summed up, sorted,
normalised, sampled.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from easearch.graph import Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.numbers import check_over, plain
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
_ALONG = ("input", "dim")
_CALLS: dict[Any, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys((torch.roll, "roll", ATEN.roll.default), ("roll", ("input", "shifts", "dims"))),
    **dict.fromkeys((torch.flip, "flip", ATEN.flip.default), ("flip", ("input", "dims"))),
    **dict.fromkeys((torch.cumsum, "cumsum", ATEN.cumsum.default), ("cumsum", _ALONG)),
    **dict.fromkeys((torch.cumprod, "cumprod", ATEN.cumprod.default), ("cumprod", _ALONG)),
    **dict.fromkeys(
        (torch.sort, "sort", ATEN.sort.default), ("sort", ("input", "dim", "descending"))
    ),
    **dict.fromkeys(
        (torch.topk, "topk", ATEN.topk.default), ("topk", ("input", "k", "dim", "largest"))
    ),
    F.normalize: ("normalize", ("input", "p", "dim", "eps")),
}
"""Function or method -> what it does, and the names of its arguments."""
_LAST = {"sort": -1, "topk": -1, "normalize": 1}
"""The axis that is meant where nobody says."""


class Positions(Kind):
    """`roll`, `flip`, `cumsum`, `cumprod`, `sort`, `topk`, `normalize` over axes besides the
    channels'.
    """

    name = "positions"
    role = Role.FOLLOWS
    functions: ClassVar = {t: names for t, (_, names) in _CALLS.items() if not isinstance(t, str)}
    methods: ClassVar = {t: names for t, (_, names) in _CALLS.items() if isinstance(t, str)}

    def accepts(self, call: Call) -> bool:
        """One value; a norm of squares."""
        given = self.arguments(call)
        if len(call.values) != 1 or not isinstance(given.get("input"), Value):
            return False
        return given.get("p", 2) in (2, 2.0) and self._over(call) is not None

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on.

        Raises:
            Apart: it goes over the channels or the samples, or gives positions.
        """
        value, over = call.values[0], self._axes(call)
        check_over(call, over)
        if value.axis in over:
            raise Apart("it goes over the channels: a copy would change the others")
        return super().through(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """What is done, over which axes, and how far."""
        function, over = _CALLS[call.target][0], self._axes(call)
        found: dict[str, Any] = {"function": function, "axes": over}
        given = plain(tuple(self.arguments(call).items()))
        named = dict(given)
        if function == "roll":
            shifts = named["shifts"]
            found["shifts"] = shifts if isinstance(shifts, tuple) else (shifts,)
        return found

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Gathers of all positions in their new order, a running sum, the largest, a quotient."""
        function, over = shape["function"], shape["axes"]
        if function in ("roll", "flip"):
            return self._gathers(shape)
        if function == "cumsum":
            return (Op(type="CumSum", integers=(over,)),)
        if function == "cumprod":
            logs = (Op(type="Log"), Op(type="CumSum", inputs=("0",), integers=(over,)))
            return (*logs, Op(type="Exp", inputs=("1",)))
        if function == "normalize":
            return (
                Op(type="ReduceL2", integers=(over,)),
                Op(type="Clip", inputs=("0",), scalars=(1e-12,)),
                Op(type="Div", inputs=("x", "1")),
            )
        (axis,) = over
        return (
            Op(
                type="TopK",
                integers=((shape.out_shape[axis],),),
                attributes=(("axis", axis), ("largest", int(function == "topk"))),
                outputs=2,
            ),
        )

    def _gathers(self, shape: Shape) -> tuple[Op, ...]:
        made: list[Op] = []
        options = dict(shape.options)
        shifts = options.get("shifts", (0,) * len(shape["axes"]))
        for axis, shift in zip(shape["axes"], shifts, strict=True):
            size = shape.out_shape[axis]
            order = [(place - shift) % size for place in range(size)]
            if shape["function"] == "flip":
                order.reverse()
            source = str(len(made) - 1) if made else "x"
            made.append(
                Op(
                    type="Gather",
                    inputs=(source,),
                    integers=(tuple(order),),
                    attributes=(("axis", axis),),
                )
            )
        return tuple(made)

    def _axes(self, call: Call) -> tuple[int, ...]:
        """In the order in which they are given, since shifts are."""
        over, dims = self._over(call), len(call.values[0].shape)
        several = over if isinstance(over, tuple | list) else (over,)
        return tuple(int(axis) % dims for axis in several)

    def _over(self, call: Call) -> Any:
        """The axes that are named, or meant; None for all numbers in one row."""
        given, function = self.arguments(call), _CALLS[call.target][0]
        if call.target == "flip" and len(call.args) > 2:  # each axis an argument
            return call.args[1:]
        return given.get("dims", given.get("dim", _LAST.get(function)))


_SAMPLE = ("input", "grid", "mode", "padding_mode", "align_corners")
_MODES = ("bilinear", "nearest", "bicubic")
_PADS = ("zeros", "border", "reflection")
_ONNX = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}


class Sample(Kind):
    """`grid_sample`: every channel of a map at places that a grid gives."""

    name = "sample"
    role = Role.FOLLOWS
    functions: ClassVar = dict.fromkeys(
        (F.grid_sample, torch.grid_sampler, ATEN.grid_sampler.default), _SAMPLE
    )

    def accepts(self, call: Call) -> bool:
        """The map is a value."""
        return isinstance(self.arguments(call).get("input"), Value)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the map's channels on; a grid has as many as there are axes.

        Raises:
            Apart: positions are not behind the channels.
        """
        value, *grids = call.values
        if axis_of(value) != 1:
            raise Apart("it samples over the axis of the channels")
        for grid in grids:
            layouts.freeze(grid.layout, f"'{grid.source}' is a grid of places")
        return super().through(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """Mode, what lies outside, whether corners are aligned."""
        given = self.arguments(call)
        mode, pads = given.get("mode", "bilinear"), given.get("padding_mode", "zeros")
        return {
            "mode": _MODES[mode] if isinstance(mode, int) else mode,
            "outside": _PADS[pads] if isinstance(pads, int) else pads,
            "aligned": bool(given.get("align_corners")),
        }

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One GridSample; places are numbers like others."""
        size = shape.out_shape[2:]
        return (
            Op(
                type="GridSample",
                weights=((shape.out_batch, *size, len(size)),),
                attributes=(
                    ("mode", _ONNX[shape["mode"]]),
                    ("padding_mode", shape["outside"]),
                    ("align_corners", int(shape["aligned"])),
                ),
            ),
        )

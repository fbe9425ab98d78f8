"""Permutations of axes: channels go where their axis goes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
ORDER = ("input", "dims")
PAIR = ("input", "dim0", "dim1")
MOVED = ("input", "source", "destination")


class Permute(Kind):
    """`permute`, `transpose`, `swapaxes`, `movedim`, `mT`; the batch stays where it is."""

    name = "permute"
    role = Role.FOLLOWS
    functions: ClassVar = {
        **dict.fromkeys((torch.permute, ATEN.permute.default), ORDER),
        **dict.fromkeys((torch.transpose, torch.swapaxes, torch.swapdims), PAIR),
        ATEN.transpose.int: PAIR,
        torch.movedim: MOVED,
        getattr: ("input", "name"),
    }
    methods: ClassVar = {
        "permute": ORDER,
        **dict.fromkeys(("transpose", "swapaxes", "swapdims"), PAIR),
        "movedim": MOVED,
    }

    def accepts(self, call: Call) -> bool:
        """A value; of attributes, `mT`."""
        return bool(call.values) and (call.target is not getattr or call.args[1] == "mT")

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The channel axis goes with the others."""
        value, order = call.values[0], _order(call)
        if order[0] != 0:
            raise Apart("it moves the batch")
        axis = None if value.axis is None else order.index(value.axis)
        return Through(reads=value.layout, in_axis=axis_of(value), axis=axis, writes=value.layout)

    def options(self, call: Call) -> dict[str, Any]:
        """The order of the axes."""
        return {"order": tuple(_order(call))}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Transpose."""
        return (Op(type="Transpose", attributes=(("perm", shape["order"]),)),)


def _order(call: Call) -> list[int]:
    value = call.values[0]
    dims = len(value.shape)
    order = list(range(dims))
    name = call.target if isinstance(call.target, str) else call.target.__name__
    if "permute" in name:
        given = call.kwargs.get("dims", call.args[1:])
        nested = len(given) == 1 and isinstance(given[0], tuple | list)
        return [d % dims for d in (given[0] if nested else given)]
    if "movedim" in name:
        source, to = (call.argument(n, i) % dims for i, n in enumerate(MOVED[1:], start=1))
        order.insert(to, order.pop(source))
        return order
    one, other = (
        (-2, -1) if name == "getattr" else (call.argument("dim0", 1), call.argument("dim1", 2))
    )
    order[one], order[other] = order[other], order[one]
    return order

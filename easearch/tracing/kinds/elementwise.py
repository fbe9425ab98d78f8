"""What all functions of several tensors have in common that go number by number.

Tensors of the network are tied into one group. A parameter, or what is computed from parameters
alone, belongs to the channels along which it stands; a number touches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from easearch.graph import Held, Shape
from easearch.tracing.call import Alignment, Call, Computed, Parameter
from easearch.tracing.kind import Kind, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of, one_sample, tied

MADE = "from {}"
"""Role of a parameter from which an operand is computed, by its number."""
LARGEST = 16
"""Parameters of one computed operand at most."""


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A parameter, or a tensor computed from parameters, among the operands."""

    name: str
    shape: tuple[int, ...]
    row: int | None
    """Its axis along the channels; None where one number serves all of them."""
    held: tuple[tuple[str, Parameter, int | None], ...]
    """(role, parameter, its axis along the channels)."""


class Elementwise(Kind):
    """A function of several operands, some of them values of the network."""

    role = Role.TIES
    takes_computed = True
    newborn: ClassVar = {MADE.format(number): 1.0 for number in range(LARGEST)}

    def accepts(self, call: Call) -> bool:
        """At least one operand is a value."""
        return bool(call.values)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Ties what goes in.

        Raises:
            Apart: nobody can tell how a parameter's numbers come to the channels.
        """
        place = place_of(call)
        found = [_along(one, place, call) for one in call.computed]
        if None in found or any(len(one.parameters) > LARGEST for one in call.computed):
            raise Apart("it takes what is computed from parameters, not channel by channel")
        through = tied(call, layouts)
        for alignment in found:
            for form in alignment.forms if alignment is not None else ():
                layouts.tie(through.writes, form.layout)
        return through

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The parameters, with their axes along the channels if they have one."""
        held = (held for operand in self.operands(call) for held in operand.held)
        return tuple(Held(role=role, path=one.path, rows=row) for role, one, row in held)

    def options(self, call: Call) -> dict[str, Any]:
        """Of parameters, the numbers a channel and besides; the sizes of inputs that are spread
        over others.
        """
        found: dict[str, Any] = {}
        operands = tuple(self.operands(call))
        if operands:
            found["parameters"] = tuple(
                (one.name, one.row is not None, _besides(one.shape, one.row)) for one in operands
            )
            once = {held[1].path: held for one in reversed(operands) for held in one.held[::-1]}
            found["own"] = tuple(
                (role, row is not None, _besides(parameter.shape, row))
                for role, parameter, row in once.values()
                if parameter.trained
            )
        place = place_of(call)
        dims = len(call.out_shape)
        sizes = tuple(_rest(one_sample(v.shape, call.batch), place, dims) for v in call.values)
        if len(set(sizes)) > 1:
            found["sizes"] = sizes
        return found

    def params(self, shape: Shape) -> int:
        """Those of the parameters that no layer before it holds."""
        own = dict(shape.options).get("own", ())
        return sum(
            besides * (shape.out_channels if along else 1)
            for role, along, besides in own
            if role not in shape.shared
        )

    def operands(self, call: Call) -> Iterator[Operand]:
        """Parameters and computed tensors, by the names of the arguments where these tell."""
        place, number = place_of(call), 0
        for name, one in self.named(call).items():
            if isinstance(one, Parameter):
                row = row_of(one.shape, place, call)
                yield Operand(name=name, shape=one.shape, row=row, held=((name, one, row),))
            elif isinstance(one, Computed):
                alignment = _along(one, place, call)
                axes = alignment.axes if alignment is not None else {}
                held = tuple(
                    (MADE.format(number + at), parameter, axes.get(parameter.path))
                    for at, parameter in enumerate(one.parameters)
                )
                number += len(held)
                row = row_of(one.shape, place, call)
                yield Operand(name=name, shape=one.shape, row=row, held=held)

    def named(self, call: Call) -> dict[str, Any]:
        """Operands by the names under which their tensors are held."""
        return self.arguments(call)

    def weights(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Sizes of the operands that are parameters or computed from them."""
        found: dict[str, tuple[int, ...]] = {}
        for name, along, besides in dict(shape.options).get("parameters", ()):
            # One number a position, or else the same ones at all positions.
            sizes = list(shape.out_shape)
            if besides != shape.positions:
                sizes = [1] * len(sizes)
            if shape.out_axis is not None:
                sizes[shape.out_axis] = shape.out_channels if along else 1
            found[name] = tuple(sizes)
        return found


def place_of(call: Call) -> int | None:
    """Where the channels stand, counted from the end: those of the widest value."""
    known = [v for v in call.values if v.axis is not None]
    if not known:
        return None
    widest = max(known, key=lambda v: v.shape[axis_of(v)])
    return axis_of(widest) - len(widest.shape)


def row_of(shape: tuple[int, ...], place: int | None, call: Call) -> int | None:
    """The axis of a tensor along the channels; None where one number serves all of them."""
    if place is None or -place > len(shape):
        return None
    along = shape[place] > 1 or call.out_shape[place] == 1
    return len(shape) + place if along else None


def function_name(value: Any) -> str:
    """A function's or method's own name."""
    return str(value if isinstance(value, str) else value.__name__)


def operand_names(call: Call) -> list[str]:
    """ONNX names of the operands that are values, in order."""
    return [f"x{number or ''}" for number, _ in enumerate(call.values)]


def _along(one: Computed, place: int | None, call: Call) -> Alignment | None:
    return one.along(row_of(one.shape, place, call))


def _besides(shape: tuple[int, ...], row: int | None) -> int:
    return math.prod(size for axis, size in enumerate(shape) if axis != row)


def _rest(shape: Iterable[int], place: int | None, dims: int) -> tuple[int, ...]:
    whole = (1,) * (dims - len(tuple(shape))) + tuple(shape)
    axis = None if place is None else dims + place
    return tuple(size for at, size in enumerate(whole) if at != axis)

"""Chunks and splits: a tensor in parts along an axis; every part that is used is a layer."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call, Derived
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
CHUNKS = ("input", "chunks", "dim")
SIZES = ("input", "split_size_or_sections", "dim")
PARTS: dict[Any, tuple[str, ...]] = {torch.chunk: CHUNKS, ATEN.chunk.default: CHUNKS}
CUTS: dict[Any, tuple[str, ...]] = {
    torch.split: SIZES,
    torch.functional.split: SIZES,
    ATEN.split.Tensor: SIZES,
    ATEN.split.default: SIZES,
    ATEN.split_with_sizes.default: SIZES,
}


class Split(Kind):
    """One part of `x.chunk(parts)` or `x.split(sizes)`.

    Parts of equal size by number stay equal as widths change: their channels are tied, part to
    part. Sizes that the code names cannot change.
    """

    name = "split"
    role = Role.FOLLOWS
    functions: ClassVar = {**PARTS, **CUTS}
    methods: ClassVar = {"chunk": CHUNKS, "split": SIZES}
    takes_sizes = True

    def accepts(self, call: Call) -> bool:
        """One of the parts."""
        return call.piece is not None and bool(call.values)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The part's own channels; along another axis all of them."""
        value, axis = call.values[0], self._axis(call)
        if value.axis != axis:
            return Through(
                reads=value.layout, in_axis=axis_of(value), axis=value.axis, writes=value.layout
            )
        sizes, named = _sizes(self.arguments(call), value.shape[axis])
        parts = layouts.cut(value.layout, sizes)
        if named or len(set(sizes)) > 1:
            layouts.freeze(value.layout, f"the code cuts it into parts of {sizes} channels")
        else:
            for part in parts[1:]:
                layouts.tie(parts[0], part)
        assert call.piece is not None
        return Through(reads=value.layout, in_axis=axis, axis=axis, writes=parts[call.piece])

    def options(self, call: Call) -> dict[str, Any]:
        """The axis, counted from the end, the number of parts and of the part; where it begins if
        parts are not equal (their sizes then never change).
        """
        axis = self._axis(call)
        sizes, _ = _sizes(self.arguments(call), call.values[0].shape[axis])
        found = {"axis": axis - len(call.out_shape), "parts": len(sizes), "part": call.piece}
        return found if len(set(sizes)) == 1 else {**found, "begin": sum(sizes[: call.piece])}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Slice."""
        at = len(shape.out_shape) + shape["axis"]
        along = shape.out_shape[at]
        begin = dict(shape.options).get("begin", shape["part"] * along)
        return (Op(type="Slice", integers=((begin,), (begin + along,), (at,))),)

    def _axis(self, call: Call) -> int:
        axis: int = self.arguments(call).get("dim", 0)
        return axis % len(call.out_shape)


def _sizes(given: dict[str, Any], whole: int) -> tuple[list[int], bool]:
    """Sizes of all parts, and whether the code names them."""
    if "chunks" in given:
        number = _plain(given["chunks"])
        each = -(-whole // number)
        return _equal(each, whole), False
    wanted = given["split_size_or_sections"]
    if isinstance(wanted, tuple | list):
        sizes = [_plain(size) for size in wanted]
        named = any(not isinstance(size, Derived) for size in wanted)
        return sizes, named
    return _equal(_plain(wanted), whole), not isinstance(wanted, Derived)


def _equal(each: int, whole: int) -> list[int]:
    return [min(each, whole - start) for start in range(0, whole, each)]


def _plain(number: Any) -> int:
    found = number.value if isinstance(number, Derived) else number
    if not isinstance(found, int):
        raise Apart("its sizes are no numbers")
    return found

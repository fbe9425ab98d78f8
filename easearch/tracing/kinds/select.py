"""Some of the positions of a tensor: indexing, slicing, gathering, spreading along new ones."""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar

import torch

from easearch.graph import Shape
from easearch.tracing.call import Call, Derived, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
INDEX = ("input", "index")
ALONG = ("input", "dim", "index")
NARROW = ("input", "dim", "start", "length")


class Select(Kind):
    """`x[...]` by numbers, slices or a tensor of numbers, and `index_select`, `gather`: positions
    may be chosen, channels may not.
    """

    name = "select"
    role = Role.FOLLOWS
    functions: ClassVar = {
        operator.getitem: INDEX,
        **dict.fromkeys((torch.select, torch.index_select, torch.gather), ALONG),
        **dict.fromkeys((ATEN.select.int, ATEN.index_select.default, ATEN.gather.default), ALONG),
        torch.take_along_dim: ("input", "index", "dim"),
        ATEN.slice.Tensor: ("input", "dim", "start", "end", "step"),
        **dict.fromkeys((torch.narrow, ATEN.narrow.default), NARROW),
        **dict.fromkeys((torch.unbind, ATEN.unbind.int), ("input", "dim")),
    }
    methods: ClassVar = {
        **dict.fromkeys(("select", "index_select", "gather"), ALONG),
        "unbind": ("input", "dim"),
        "narrow": NARROW,
    }
    takes_sizes = True

    def accepts(self, call: Call) -> bool:
        """A tensor is indexed."""
        return bool(call.args) and isinstance(call.args[0], Value)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The channel axis, moved by the axes that go and come before it."""
        value = call.args[0]
        assert isinstance(value, Value)
        if value.axis is None:
            return Through(reads=(), in_axis=1, axis=None, writes=())
        given = self.arguments(call)
        if call.piece is not None:
            given = {"dim": 0, **given}
        if "dim" not in given:
            axis = _indexed(value, value.axis, given["index"])
        else:
            along = given["dim"] % len(value.shape)
            if along == value.axis and call.out_shape != value.shape:
                raise Apart("it takes some of the channels")
            axis = value.axis - (along < value.axis and len(call.out_shape) < len(value.shape))
        index = given.get("index")
        if isinstance(index, Value) and index.axis is not None:
            if index.axis != value.axis or "dim" not in given:
                raise Apart("its index has channels of its own")
            layouts.tie(value.layout, index.layout)
        elif isinstance(index, Value) and "dim" in given and len(index.shape) == len(value.shape):
            layouts.freeze(value.layout, "it is gathered by an index with its size for good")
        return Through(reads=value.layout, in_axis=value.axis, axis=axis, writes=value.layout)

    def options(self, call: Call) -> dict[str, Any]:
        """Nothing: it is the copying that costs, and sizes say how much."""
        return {}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A Gather of as many positions, evenly spread, before the channels and behind them:
        which ones are chosen does not change how much is copied.
        """
        ends = (shape.in_axis, shape.out_axis)
        ends = (None, None) if None in ends else ends  # the channels may be among what is chosen
        (before, channels, behind), axis = _around(shape.in_shape, ends[0]), 1
        made = [Op(type="Reshape", integers=((1, before, channels, behind),))]
        for there, wanted in zip(
            (before, behind), _around(shape.out_shape, ends[1])[::2], strict=True
        ):
            if there != wanted:
                chosen = tuple(number * there // wanted for number in range(wanted))
                made.append(
                    Op(
                        type="Gather",
                        inputs=(str(len(made) - 1),),
                        integers=(chosen,),
                        attributes=(("axis", axis),),
                    )
                )
            axis = 3
        last = Op(type="Reshape", inputs=(str(len(made) - 1),), integers=(shape.out_shape,))
        return (*made, last)


class Expand(Kind):
    """`expand` and `repeat`: the same numbers along new positions, never along new channels."""

    name = "expand"
    role = Role.FOLLOWS
    functions: ClassVar = dict.fromkeys(
        (torch.broadcast_to, torch.tile, ATEN.expand.default, ATEN.repeat.default),
        ("input", "size"),
    )
    methods: ClassVar = dict.fromkeys(("expand", "repeat"), ("input", "size"))
    takes_sizes = True

    def accepts(self, call: Call) -> bool:
        """A value."""
        return bool(call.values)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Axes are matched from the end; one that takes its size from another tensor's channels
        stands for channels to come.
        """
        value, out = call.values[0], call.out_shape
        given = call.kwargs.get("size", call.args[1:])
        sizes = list(given[0] if len(given) == 1 and isinstance(given[0], tuple | list) else given)
        if value.axis is None:
            return self._sized(sizes, value, out, layouts)
        axis = value.axis + len(out) - len(value.shape)
        if out[axis] != value.shape[value.axis]:
            raise Apart("it repeats the channels")
        size = sizes[axis]
        repeats = call.target in ("repeat", torch.tile, ATEN.repeat.default)
        if isinstance(size, int) and size != (1 if repeats else -1):
            layouts.freeze(
                value.layout,
                f"the code names its size, {size}, in an expansion of '{value.source}'",
            )
        return Through(reads=value.layout, in_axis=value.axis, axis=axis, writes=value.layout)

    def options(self, call: Call) -> dict[str, Any]:
        """Nothing: the sizes say it."""
        return {}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Expand."""
        return (Op(type="Expand", integers=(shape.out_shape,)),)

    def _sized(
        self, sizes: list[Any], value: Value, out: tuple[int, ...], layouts: Layouts
    ) -> Through:
        lead = len(out) - len(value.shape)
        followed = [
            place
            for place, size in enumerate(sizes)
            if place > 0
            and isinstance(size, Derived)
            and (place < lead or value.shape[place - lead] != out[place])
        ]
        if len(followed) != 1:
            return Through(reads=(), in_axis=1, axis=None, writes=())
        (axis,) = followed
        return Through(reads=(), in_axis=axis_of(value), axis=axis, writes=layouts.begin(out[axis]))


def _around(whole: tuple[int, ...], axis: int | None) -> tuple[int, int, int]:
    """Positions before the channels, channels, positions behind them."""
    if axis is None:
        return 1, 1, math.prod(whole)
    return math.prod(whole[:axis]), whole[axis], math.prod(whole[axis + 1 :])


def _indexed(value: Value, axis: int, index: Any) -> int:
    """Where the channels stand after `value[index]`."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [i for i in items if not isinstance(i, Value)]:
        at = next(n for n, i in enumerate(items) if i is Ellipsis)
        used = sum(i is not None and i is not Ellipsis for i in items)
        items[at : at + 1] = [slice(None)] * (len(value.shape) - used)
    source = result = 0
    tensors = sum(isinstance(item, Value) for item in items)
    for item in items:
        if item is None:
            result += 1
            continue
        if source == axis:
            if item != slice(None):
                raise Apart("it takes some of the channels")
            return result
        source += 1
        if isinstance(item, slice):
            result += 1
        elif isinstance(item, Value):
            if tensors > 1:
                raise Apart("it is indexed by several tensors")
            result += len(item.shape)
        elif not isinstance(item, int | Derived):
            raise Apart("it is indexed by something that is no number")
    return result + axis - source

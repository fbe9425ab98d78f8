"""How channels pass a call: what most kinds have in common."""

from __future__ import annotations

from dataclasses import dataclass

from easearch.graph import Layout
from easearch.tracing.call import Call, Value
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.recording import MANY


@dataclass(frozen=True, kw_only=True)
class Through:
    """How channels pass one call: what is read, at which axis, and the value that comes out."""

    reads: Layout
    in_axis: int
    axis: int | None
    writes: Layout


def axis_of(value: Value) -> int:
    """Where a value's channels stand; 1 where nothing is known of them."""
    return 1 if value.axis is None else value.axis


def read(value: Value, axis: int, layouts: Layouts, why: str) -> Layout:
    """The layout of a value along an axis, which a layer reads.

    Where the channels that are known stand along another axis, they are frozen; where none are
    known, a group is made that cannot change.
    """
    if value.axis == axis:
        return value.layout
    layouts.freeze(value.layout, f"'{value.source}' {why}")
    unknown = value.unknown or f"'{value.source}' has its channels along another axis"
    return layouts.begin(value.shape[axis], unknown)


def tied(call: Call, layouts: Layouts) -> Through:
    """Tensors combined number by number, smaller ones spread over the positions of the larger.

    A tensor whose one channel is spread over all, or of which nothing is known, holds its
    group, and those that it meets, to their widths.
    """
    out = len(call.out_shape)
    known = [v for v in call.values if v.axis is not None]
    if not known:
        return Through(reads=(), in_axis=1, axis=None, writes=())
    # Counted from the end: that is how shapes are matched.
    places = {axis_of(v) - len(v.shape) for v in known if layouts.columns(v.layout) > 1}
    if len(places) > 1:
        raise Apart("its inputs have their channels along different axes")
    place = places.pop() if places else axis_of(known[0]) - len(known[0].shape)
    width = call.out_shape[place]
    main: Layout | None = None
    for value in call.values:
        size = value.shape[place] if -place <= len(value.shape) else 1
        if value.axis is None:
            continue
        if axis_of(value) - len(value.shape) != place or size != width:
            layouts.freeze(value.layout, f"'{value.source}' is spread over other channels")
        elif main is None:
            main = value.layout
        else:
            layouts.tie(main, value.layout)
    if main is None:
        raise Apart("its inputs are spread over each other")
    for value in call.values:
        if value.axis is None and -place <= len(value.shape) and value.shape[place] == width > 1:
            layouts.freeze(main, value.unknown)
    return Through(reads=main, in_axis=out + place, axis=out + place, writes=main)


def one_sample(shape: tuple[int, ...], batch: int, axis: int | None = None) -> tuple[int, ...]:
    """The sizes of one sample of a batch, if it came alone: where its axis is not said, those of
    which the batch is a factor. Positions may have been put there too.
    """
    if axis is None and batch == MANY:  # a sample may meet every other
        return tuple(_without(size, batch) for size in shape)
    if axis is None:
        axis = next((at for at, size in enumerate(shape) if size and size % batch == 0), None)
    if axis is None:  # the same for all samples
        return shape
    return (*shape[:axis], shape[axis] // batch, *shape[axis + 1 :])


def _without(size: int, factor: int) -> int:
    while size and size % factor == 0:
        size //= factor
    return size


def without(shape: tuple[int, ...], axis: int | None, layout: object) -> tuple[int, ...]:
    """A value's sizes without the batch and, where they are known, the channels."""
    left_out = (0, axis) if layout else (0,)
    return tuple(size for place, size in enumerate(shape) if place not in left_out)

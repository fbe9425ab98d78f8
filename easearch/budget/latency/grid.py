"""The grid of widths on which items are timed, and what lies between its points.

Latency is a staircase in width: constant up to a multiple of the device's step, then a jump. At the
tops of the stairs time is nearly bilinear in columns in and out, so that between tops that are
near each other it can be interpolated; across an edge it never is: a width off the step is timed
itself, or taken to be as dear as the top of its stair.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from easearch.graph import Shape

Item = tuple[Shape, ...]
TWO_WAYS = ("conv", "linear", "transposed")
"""Kinds whose columns in and out are free of each other."""
ONE_WAY = (
    *("depthwise", "activation", "add", "mul", "batch_norm"),
    *("pool", "global_pool", "adaptive_pool"),
)
"""Kinds that have as many columns out as in."""
BLOCK = 4
"""Widths that are no multiple of it leave a runtime's blocked layout: they lie on no stair."""
FINE = 8
"""Up to so many steps every stair is timed; beyond, four an octave."""


class Point(NamedTuple):
    """Columns in and out of an item."""

    ins: int
    outs: int


def point(item: Item) -> Point | None:
    """Where an item lies on the grid of its family; None: its time is not a function of that."""
    head = item[0]
    same = all(s.in_channels == s.out_channels == head.out_channels for s in item[1:])
    options = dict(head.options)
    if not same or "operands" in options or head.in_axis is None or head.out_axis is None:
        return None
    if head.kind in TWO_WAYS:
        return Point(head.in_channels, head.out_channels)
    alike = head.in_channels == head.out_channels and options.get("each", 1) == 1
    return Point(head.in_channels, head.out_channels) if alike and head.kind in ONE_WAY else None


def moved(item: Item, to: Point) -> Item:
    """The item of the same family at another point."""
    head, *rest = item
    return (
        replace(head, in_channels=to.ins, out_channels=to.outs),
        *(replace(s, in_channels=to.outs, out_channels=to.outs) for s in rest),
    )


def family(item: Item) -> Item:
    """What items have in common that differ in their point alone."""
    return moved(item, Point(0, 0))


def corners(item: Item, step: int) -> dict[Point, float]:
    """The points of the grid whose times make up the item's, with their weights (they sum to 1).

    An item that lies on the grid, or on no stair, is its own corner.
    """
    at = point(item)
    assert at is not None
    if item[0].kind in TWO_WAYS:
        ins, outs = _weights(at.ins, step), _weights(at.outs, step)
        pairs = itertools.product(ins.items(), outs.items())
        return {Point(i, o): u * v for (i, u), (o, v) in pairs}
    return {Point(n, n): weight for n, weight in _weights(at.ins, step).items()}


def _weights(width: int, step: int) -> dict[int, float]:
    """The levels around a width, with their weights."""
    if width % step:
        return {width: 1.0}
    low, high = neighbours(width // step)
    if low == high:
        return {width: 1.0}
    share = (width // step - low) / (high - low)
    return {low * step: 1 - share, high * step: share}


def neighbours(steps: int) -> tuple[int, int]:
    """The levels of the grid at or around a number of steps; equal if it is a level."""
    if steps <= FINE:
        return steps, steps
    spacing = 2 ** ((steps - 1).bit_length() - 3)
    low = steps // spacing * spacing
    return (low, low) if low == steps else (low, low + spacing)


def levels(low: int, high: int, step: int) -> Iterator[int]:
    """`low` itself, on the grid or not, and the grid's widths from there to at least `high`."""
    yield low
    steps = low // step
    while steps * step < high:
        steps += 1
        if neighbours(steps)[0] == steps:
            yield steps * step
    if neighbours(steps)[0] != steps:
        yield neighbours(steps)[1] * step


def top(width: int, step: int) -> int | None:
    """The top of the stair that a width lies on; None: it lies on none."""
    return -(-width // step) * step if width % BLOCK == 0 else None


def between(known: Mapping[Point, float], at: Point, step: int, *, two_ways: bool) -> float | None:
    """The time at a point from whatever points are known, never across an edge; None: too few.

    For tables that cannot be asked: a point off the step is as dear as the top of its stair, unless
    rows of its very width are known; tops between known ones are interpolated in columns in and
    out; nothing is guessed beyond them.
    """
    ways = itertools.product(
        dict.fromkeys((at.ins, top(at.ins, step))), dict.fromkeys((at.outs, top(at.outs, step)))
    )
    for ins, outs in ways:
        if ins is not None and outs is not None:
            us = _interpolated(known, Point(ins, outs), step, two_ways=two_ways)
            if us is not None:
                return us
    return None


def _interpolated(
    known: Mapping[Point, float], at: Point, step: int, *, two_ways: bool
) -> float | None:
    """Between tops, or rows of the very width, along columns in and then along columns out."""
    if at in known:
        return known[at]
    columns: dict[int, dict[int, float]] = {}
    for p, us in known.items():
        if (p.ins % step == 0 or p.ins == at.ins) and (p.outs % step == 0 or p.outs == at.outs):
            columns.setdefault(p.outs if two_ways else 0, {})[p.ins] = us
    along = {outs: _at(times, at.ins, step) for outs, times in columns.items()}
    found = {outs: us for outs, us in along.items() if us is not None}
    return _at(found, at.outs, step) if two_ways else found.get(0)


def _at(times: Mapping[int, float], width: int, step: int) -> float | None:
    """The time at a width, itself known or between two that are."""
    around = _around(sorted(times), width) if width % step == 0 or width in times else {}
    return sum(share * times[near] for near, share in around.items()) if around else None


def _around(known: Sequence[int], width: int) -> dict[int, float]:
    place = bisect.bisect_left(known, width)
    if place < len(known) and known[place] == width:
        return {width: 1.0}
    if place in (0, len(known)):
        return {}
    low, high = known[place - 1], known[place]
    share = (width - low) / (high - low)
    return {low: 1 - share, high: share}

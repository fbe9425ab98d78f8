"""Interpolation on a staircase: exact between tops that lie on a bilinear surface, never across."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easearch.budget.latency.grid import (
    BLOCK,
    Point,
    between,
    corners,
    family,
    levels,
    moved,
    neighbours,
    point,
)
from easearch.graph import Shape

STEPS = (4, 8, 16, 32)


def stair(at: Point, step: int) -> float:
    """Constant up to a multiple of the step, bilinear over the multiples, with a jump at each."""
    ins, outs = -(-at.ins // step), -(-at.outs // step)
    return 3.0 + 2.0 * ins + 5.0 * outs + 0.7 * ins * outs


@given(st.integers(1, 4000))
def test_levels_are_near_each_other(steps: int) -> None:
    low, high = neighbours(steps)
    assert low <= steps <= high
    assert neighbours(low) == (low, low)
    assert neighbours(high) == (high, high)
    assert high <= 1.25 * low


@given(st.sampled_from(STEPS), st.integers(1, 500), st.integers(0, 500))
def test_levels_run_from_the_width_itself_to_the_end(step: int, low: int, more: int) -> None:
    found = list(levels(low, low + more, step))
    assert found == sorted(set(found))
    assert found[0] >= low
    assert found[-1] >= low + more
    assert all(width % step == 0 for width in found[1:])
    assert found[0] == low or found[0] % step == 0


@given(st.sampled_from(STEPS), st.integers(1, 120), st.integers(1, 120))
def test_on_the_step_corners_reproduce_a_bilinear_surface(step: int, ins: int, outs: int) -> None:
    item = (conv_of(ins * step, outs * step),)
    found = corners(item, step)
    assert sum(found.values()) == pytest.approx(1.0)
    summed = sum(weight * stair(at, step) for at, weight in found.items())
    assert summed == pytest.approx(stair(Point(ins * step, outs * step), step))


@given(st.sampled_from(STEPS), st.integers(1, 500), st.integers(1, 500))
def test_off_the_step_nothing_is_interpolated_along_that_axis(
    step: int, ins: int, outs: int
) -> None:
    for at in corners((conv_of(ins, outs),), step):
        assert at.ins == ins or ins % step == 0
        assert at.outs == outs or outs % step == 0


@given(st.sampled_from((8, 16)), st.integers(1, 30), st.integers(1, 30))
def test_a_table_alone_answers_by_the_top_of_the_stair(step: int, ins: int, outs: int) -> None:
    tops = list(levels(step, 32 * step, step))
    known = {Point(i, o): stair(Point(i, o), step) for i, o in itertools.product(tops, tops)}
    at = Point(ins * BLOCK, outs * BLOCK)
    assert between(known, at, step, two_ways=True) == pytest.approx(stair(at, step))


def test_nothing_is_guessed_beyond_what_is_known_or_off_the_blocks() -> None:
    known = {Point(i, o): 1.0 for i, o in itertools.product((16, 32), (16, 32))}
    assert between(known, Point(48, 16), 16, two_ways=True) is None
    assert between(known, Point(17, 16), 16, two_ways=True) is None
    assert between({Point(16, 16): 1.0}, Point(32, 32), 16, two_ways=False) is None
    del known[Point(32, 32)]
    assert between(known, Point(32, 32), 16, two_ways=True) is None


def test_items_of_a_family_differ_in_their_point_alone(conv: Callable[..., Shape]) -> None:
    act = Shape(
        kind="activation",
        in_channels=48,
        out_channels=48,
        in_size=(8, 8),
        out_size=(8, 8),
        options=(("function", "relu"),),
    )
    item = (conv(32, 48, 8), act)
    assert point(item) == Point(32, 48)
    wider = moved(item, Point(64, 80))
    assert point(wider) == Point(64, 80)
    assert wider[1].in_channels == wider[1].out_channels == 80
    assert family(wider) == family(item)
    assert moved(wider, Point(32, 48)) == item


def test_what_depends_on_more_than_its_point_lies_on_no_grid(conv: Callable[..., Shape]) -> None:
    doubled = conv(16, 32, 8, "depthwise", 3)
    assert point((doubled,)) is None
    assert point((conv(16, 16, 8, "depthwise", 3),)) == Point(16, 16)
    tall = Shape(
        kind="concat",
        in_channels=16,
        out_channels=48,
        in_size=(4,),
        out_size=(4,),
        options=(("axis", -2), ("inputs", 2)),
    )
    assert point((tall,)) is None


def conv_of(ins: int, outs: int) -> Shape:
    return Shape(kind="conv", in_channels=ins, out_channels=outs, in_size=(4, 4), out_size=(4, 4))

"""The algebra of layouts, against columns written out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easearch.graph import Layout, Segment
from easearch.tracing.layouts import Apart, Layouts

Column = tuple[str, int]
"""A group and a channel of it."""


def columns(layouts: Layouts, layout: Layout) -> list[Column]:
    """The channel behind every column."""
    return [
        (segment.group, channel)
        for segment in layouts.settled(layout)
        for channel in range(layouts.width(segment.group))
        for _ in range(segment.taps)
    ]


def spread(layout: Layout, taps: int) -> Layout:
    return tuple(Segment(s.group, s.taps * taps) for s in layout)


def test_tied_layouts_are_one() -> None:
    layouts = Layouts()
    one, other = layouts.begin(6), layouts.begin(6)
    layouts.tie(one, other)
    assert columns(layouts, one) == columns(layouts, other)


def test_a_stretch_of_a_concatenation_is_cut_out_of_a_wide_group() -> None:
    layouts = Layouts()
    wide, first, second = layouts.begin(7), layouts.begin(3), layouts.begin(4)
    layouts.tie(wide, first + second)
    assert columns(layouts, wide) == columns(layouts, first) + columns(layouts, second)
    assert [layouts.width(s.group) for s in layouts.settled(wide)] == [3, 4]


def test_halves_that_must_stay_equal_are_one_group_twice() -> None:
    layouts = Layouts()
    whole = layouts.begin(8)
    first, second = layouts.cut(whole, [4, 4])
    layouts.tie(first, second)
    (once, again) = layouts.settled(whole)
    assert once == again and layouts.width(once.group) == 4


def test_blocks_hold_whole_groups_of_a_convolution() -> None:
    layouts = Layouts()
    first, second = layouts.begin(8), layouts.begin(4)
    both = layouts.blocks(first + spread(second, 2), 4)
    assert [(layouts.width(s.group), s.taps) for s in both] == [(2, 4), (2, 4)]
    # One column a channel here, blocks of two there: the same units.
    narrow = layouts.begin(4)
    layouts.tie(narrow, second)
    assert columns(layouts, narrow) == columns(layouts, second)


def test_what_is_frozen_stays_frozen_through_every_change() -> None:
    layouts = Layouts()
    frozen, free = layouts.begin(6, "because"), layouts.begin(6)
    layouts.tie(free, frozen)
    for part in layouts.cut(free, [2, 4]):
        assert [layouts.frozen(s.group) for s in part] == ["because"]
    blocks = layouts.blocks(frozen, 2)
    assert {layouts.frozen(s.group) for s in blocks} == {"because"}
    layouts.freeze(frozen, "another reason")
    assert {layouts.frozen(s.group) for s in layouts.settled(frozen)} == {"because"}


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda s: s.tie(s.begin(3), s.begin(4)), "3 channels meet 4"),
        (lambda s: s.cut(spread(s.begin(3), 2), [3, 3]), "goes through a block of 2"),
        (lambda s: s.blocks(s.begin(7), 2), "blocks of 2"),
        (lambda s: s.tie(spread(s.begin(2), 3), spread(s.begin(3), 2)), "through a block|meet"),
    ],
)
def test_what_does_not_fit_is_said(ask: object, told: str) -> None:
    with pytest.raises(Apart, match=told):
        ask(Layouts())  # type: ignore[operator]


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 4])), min_size=1, max_size=4))
def test_tying_ends_and_ends_in_agreement(parts: list[tuple[int, int]]) -> None:
    """Any concatenation can be laid over one group of as many columns, or it is said why not."""
    layouts = Layouts()
    layout = tuple(
        segment for width, taps in parts for segment in spread(layouts.begin(width), taps)
    )
    whole = layouts.begin(layouts.columns(layout))
    layouts.tie(whole, layout)
    assert columns(layouts, whole) == columns(layouts, layout)
    assert layouts.columns(whole) == sum(width * taps for width, taps in parts)

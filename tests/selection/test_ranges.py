"""Floors, ceilings and locks: kept by every selector; one sentence each where they cannot be."""

from __future__ import annotations

import random
import re

import pytest
from choosing import bounds_of, graph_of, splits

import easearch as ea
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Range, Ranges
from easearch.selection import SELECTORS
from easearch.selection.ranges import resolved

STEP = 2


def all_splits(graph: Graph, seed: int = 0) -> list[Candidate]:
    draw = random.Random(seed)
    return [
        candidate
        for group in graph.growable
        for candidate in splits(graph, group.name, *(draw.random() for _ in range(group.width)))
    ]


def chosen(name: str, graph: Graph, ranges: Ranges, room: float = 1.6) -> Plan:
    bounds = bounds_of(graph, room, ("macs", "params"))
    return SELECTORS[name]().select(all_splits(graph), graph, bounds, STEP, ranges)


def refused(ranges: Ranges, room: float = 1.6, name: str = "greedy") -> str:
    with pytest.raises(BudgetError) as caught:
        chosen(name, graph_of(), ranges, room)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SELECTORS)
def test_ranges_are_kept(name: str) -> None:
    """For every group of a network: a floor above what is chosen without, a ceiling below it, a
    lock; the limits hold all the same.
    """
    graph = graph_of()
    free = chosen(name, graph, {})
    for group in graph.growable:
        width, taken = group.width, free.widths[group.name]
        for wanted in (Range(low=width + 3), Range(high=width + 2), Range(low=width, high=taken)):
            plan = chosen(name, graph, {group.name: wanted})
            assert (wanted.low or 0) <= plan.widths[group.name]
            assert plan.widths[group.name] <= (wanted.high or 1000)
            assert all(price.after <= price.limit for price in plan.prices)
        locked = chosen(name, graph, {group.name: Range.locked()})
        assert locked.widths[group.name] == width
        assert locked.moves
    every = chosen(name, graph, {"*": Range.locked()})
    assert (every.moves, every.widths) == ((), graph.widths)


def test_a_ceiling_that_holds_nobody_back_changes_nothing() -> None:
    graph = graph_of()
    free = chosen("exact", graph, {})
    assert chosen("exact", graph, {"*": Range(low=1, high=1000)}).widths == free.widths


@pytest.mark.parametrize("name", SELECTORS)
def test_a_wish_goes_as_far_as_it_can(name: str) -> None:
    """A floor that is not firm: beyond the candidates, and beyond the limits."""
    graph = graph_of()
    (first, *_) = graph.growable
    far = {first.name: Range(low=100, firm=False)}
    assert chosen(name, graph, far, room=50.0).widths[first.name] == 2 * first.width
    held = chosen(name, graph, far, room=1.3)
    assert first.width < held.widths[first.name] < 2 * first.width
    wider = graph.with_widths({first.name: held.widths[first.name] + STEP})
    bounds = bounds_of(graph, 1.3, ("macs", "params"))
    assert any(bound.meter.cost(wider).total > bound.limit for bound in bounds)


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("room", [1.2, 1.5, 2.0])
def test_wishes_share_what_there_is_room_for(name: str, room: float) -> None:
    """No group is further from its floor than another one by more than a step of either, unless
    that step would not keep the limits; the order of the groups says nothing.
    """
    graph = graph_of()
    wishes = {group.name: Range(low=2 * group.width, firm=False) for group in graph.growable}
    plan = chosen(name, graph, wishes, room)
    turned = chosen(name, graph, dict(reversed(wishes.items())), room)
    assert turned.widths == plan.widths
    bounds = bounds_of(graph, room, ("macs", "params"))
    shares = {one.name: plan.widths[one.name] / (2 * one.width) for one in graph.growable}
    for group in graph.growable:
        wider = graph.with_widths({**plan.widths, group.name: plan.widths[group.name] + STEP})
        fits = all(bound.meter.cost(wider).total <= bound.limit for bound in bounds)
        own = shares[group.name]
        if own < 1 and fits:
            assert own + STEP / (2 * group.width) >= max(shares.values())


def test_patterns_the_later_ones_count_field_by_field() -> None:
    graph = graph_of()
    names = [group.name for group in graph.growable]
    found = resolved(
        {"*": Range(low=7, high=64), names[1]: Range(high=32), names[2]: Range.locked()}, graph
    )
    assert found[names[0]] == Range(low=7, high=64)
    assert found[names[1]] == Range(low=7, high=32)
    assert found[names[2]] == Range.locked()
    assert set(found) == set(names)  # frozen groups among those matched are passed over
    assert resolved({"*": Range.locked(), names[0]: Range(high=9)}, graph)[names[0]].high == 9
    assert resolved(None, graph) == {}


def test_what_cannot_be_kept_is_one_sentence() -> None:
    graph = graph_of()
    group = graph.growable[0]
    frozen = next(g for g in graph.channel_groups if g.frozen)
    assert "no channel group matches 'stme.0'; did you mean 'stem.0'?" in refused(
        {"stme.0": Range(low=8)}
    )
    assert re.search(
        rf"'{group.name}' has a floor of 40 .* {group.width} to {2 * group.width} at most",
        refused({group.name: Range(low=40)}),
    )
    for name in SELECTORS:
        sentence = refused({"*": Range(low=12)}, room=1.05, name=name)
        assert re.search(r"at its floors \(.* 12.*\) the network costs .* limit of", sentence)
    assert re.search(
        rf"'{group.name}' is {group.width} channels wide already, above its ceiling of 4",
        refused({group.name: Range(high=4)}),
    )
    sentence = refused({frozen.name: Range(low=frozen.width + 1)})
    assert frozen.frozen is not None
    assert frozen.frozen in sentence
    together = {"*": Range(low=20), group.name: Range(high=10)}
    assert re.search(r"do not go together for 'stem.0': .* floor of 20 .* 10", refused(together))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"low": 9, "high": 8}, "floor of 9 and a ceiling of 8"),
        ({"low": 0}, "floor of 1 channel or more, a whole number, got 0"),
        ({"high": -3}, "ceiling of 1 channel or more, a whole number, got -3"),
        ({"high": 2.5}, "got 2.5"),
        ({"low": True}, "got True"),
        ({"low": 4, "fixed": True}, "locked"),
    ],
)
def test_a_range_that_no_width_can_keep_is_refused(said: dict[str, int], words: str) -> None:
    with pytest.raises(BudgetError, match=re.escape(words)):
        Range(**said)


def test_select_takes_widths() -> None:
    graph = graph_of()
    budget = ea.Budget({"macs": "1.6x"})
    plan = ea.select(
        all_splits(graph), graph, budget, width_step=STEP, widths={"stem*": ea.Range.locked()}
    )
    assert plan.widths["stem.0"] == graph.widths["stem.0"]
    assert plan.moves

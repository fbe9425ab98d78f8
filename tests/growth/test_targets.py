"""Targets of a run's growths, and floors that they add to the ranges of widths."""

from __future__ import annotations

import pytest
from networks import NETWORKS, sample

from easearch.growth.targets import raised, towards
from easearch.roles import Range
from easearch.tracing import trace


def test_only_the_last_size_of_one_limit_is_delivered() -> None:
    targets = towards([], (0.3, 0.6, 1.0))
    assert [target.share for target in targets] == [0.3, 0.6, 1.0]
    assert [target.product for target in targets] == [False, False, True]


@pytest.mark.parametrize("name", NETWORKS)
def test_floors_are_raised_softly_and_leave_what_a_user_wants(name: str) -> None:
    graph = trace(NETWORKS[name]().double(), sample())
    floors = {group.name: 2 * group.width for group in graph.channel_groups}
    found = raised({}, floors, graph)
    assert found.keys() == {group.name for group in graph.growable}
    for group in graph.growable:
        wide = 2 * group.width
        assert found[group.name] == Range(low=wide, firm=False)
        for own in (Range(fixed=True), Range(low=wide + 1), Range(low=wide + 1, high=wide + 4)):
            assert raised({group.name: own}, floors, graph)[group.name] == own
        capped = raised({group.name: Range(high=wide - 1)}, floors, graph)[group.name]
        assert (capped.low, capped.high, capped.firm) == (wide - 1, wide - 1, False)
    present = {group.name: group.width for group in graph.channel_groups}
    assert raised({}, present, graph) == {}

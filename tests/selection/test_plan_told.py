"""A plan in words: widths, gain and gap, every limit and what more of it would buy."""

from __future__ import annotations

import math
import re

import pytest
from choosing import bounds_of, dealt, graph_of

from easearch.moves import Plan, Price, Split, amount, step_of
from easearch.selection import SELECTORS


def plan(gap: float = 0.0, **price: float) -> Plan:
    return Plan(
        moves=(
            Split(group="a", channel=0),
            Split(group="a", channel=1),
            Split(group="b", channel=3),
        ),
        gain=0.0123,
        widths={"a": 8, "b": 5, "c": 3},
        prices=(Price(meter="latency", unit="ms", before=2.1, after=3.96, limit=4.0, **price),),
        gap=gap,
        solver="exact",
        seconds=0.8,
    )


def test_the_words() -> None:
    assert str(plan(shadow_price=0.12)) == (
        "+3 channels in 2 groups: a 6 -> 8, b 4 -> 5\n"
        "gain 0.0123 nats, best possible (exact, 0.8 s)\n"
        "latency: 2.1 -> 3.96 of 4 ms; it binds: +0.1 ms would buy 0.012 nats\n"
        "take the moves together: ea.take_step(model, graph, plan.moves, batches)"
    )
    assert str(plan(gap=4e-4)).splitlines()[1:] == [
        "gain 0.0123 nats, within 0.04 % of the best (exact, 0.8 s)",
        "latency: 2.1 -> 3.96 of 4 ms",
        "take the moves together: ea.take_step(model, graph, plan.moves, batches)",
    ]
    assert "distance from the best not known" in str(plan(gap=math.inf))


@pytest.mark.parametrize(
    ("limit", "more"), [(4.0, 0.1), (0.4, 0.01), (9.99, 0.1), (10.0, 1.0), (12.3e6, 1e6)]
)
def test_a_small_amount_of_a_limit(limit: float, more: float) -> None:
    assert step_of(limit) == pytest.approx(more)


def test_amounts_have_three_digits() -> None:
    said = [amount(value) for value in (3.9612, 0.04, 999.6, 192_400, 12_345_678, 2.5e9)]
    assert said == ["3.96", "0.04", "1k", "192k", "12.3M", "2.5G"]


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_says_what_binds_and_what_more_would_buy(name: str) -> None:
    """And it is true as to its sign: with that much more of the limit no less is gained."""
    graph = graph_of("mobilenet_v2")
    candidates = dealt(graph, 1, groups=9)
    (tight,) = bounds_of(graph, 1.3, ("macs",))
    (loose,) = bounds_of(graph, 50.0, ("params",))
    found = SELECTORS[name]().select(candidates, graph, [tight, loose], 4)
    assert found.binding == "macs"
    assert [price.shadow_price > 0 for price in found.prices] == [True, False]
    assert re.search(r"macs: .*k -> .*k of .*k MACs; it binds: \+\S+ MACs would buy", str(found))
    assert found.solver == name
    free = SELECTORS[name]().select(candidates, graph, [loose], 4)
    assert free.binding is None
    assert "binds" not in str(free)

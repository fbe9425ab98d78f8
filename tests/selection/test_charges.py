"""What every layer costs at the widths that its groups may take."""

from __future__ import annotations

import itertools
import math

import pytest
from choosing import family_graph, graph_of, splits
from families import FAMILIES
from networks import NETWORKS

from easearch.budget import find_meter
from easearch.moves import Candidate, NewNeuron
from easearch.roles import Bound
from easearch.selection.charges import pricing
from easearch.selection.options import options


@pytest.mark.parametrize("meter", ["macs", "params", "memory"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_total_is_the_meters_own_at_every_choice(meter: str, name: str) -> None:
    graph = graph_of(name)
    candidates = [
        c for g in graph.growable[:3] for c in splits(graph, g.name, *([1.0] * min(g.width, 5)))
    ]
    choices = options(candidates, graph, 2)
    bound = Bound(meter=find_meter(meter), limit=1.0)
    (price,) = pricing(graph, choices, [bound])
    for picked in itertools.product(*(range(len(ladder)) for ladder in choices.values())):
        choice = dict(zip(choices, picked, strict=True))
        widths = {group: choices[group][k].width for group, k in choice.items()}
        assert price.total(choice) == bound.meter.cost(graph.with_widths(widths)).total


def test_a_meter_is_asked_once_for_all_shapes() -> None:
    """So that one that measures can do it side by side."""
    asked = []

    class Counting:
        name, unit = "macs", "MACs"

        def __getattr__(self, what: str) -> object:
            return getattr(find_meter("macs"), what)

        def charges(self, graph: object, items: list[object]) -> object:
            asked.append(items)
            return find_meter("macs").charges(graph, items)  # type: ignore[arg-type]

    graph = graph_of()
    choices = options(splits(graph, "stem.0", *([1.0] * 6)), graph, 1)
    pricing(graph, choices, [Bound(meter=Counting(), limit=1.0)])  # type: ignore[arg-type]
    (items,) = asked
    assert len(items) == len(set(items))


def test_a_charge_over_many_groups_is_one_over_sums() -> None:
    """A concatenation of many: as many prices as sums, not as combinations."""
    graph = family_graph("densenet")
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable
        for _ in range(32)
    ]
    choices = options(candidates, graph, 4)
    (price,) = pricing(graph, choices, [Bound(meter=find_meter("macs"), limit=1.0)])
    widest = max((c for moment in price.moments for c in moment), key=lambda c: len(c.groups))
    assert len(widest.groups) > 3
    combinations = math.prod(len(choices[name]) for name in widest.groups)
    assert len(widest.prices) < combinations / 50


@pytest.mark.parametrize("name", ["concat", "concat_add", "glu", "multi_reader", "densenet"])
def test_a_total_is_the_meters_own_where_values_have_several_groups(name: str) -> None:
    assert name in FAMILIES
    graph = family_graph(name)
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable[:4]
        for _ in range(8)
    ]
    choices = options(candidates, graph, 4)
    bounds = [Bound(meter=find_meter(meter), limit=1.0) for meter in ("macs", "params", "memory")]
    prices = pricing(graph, choices, bounds)
    for picked in itertools.product(*(range(len(ladder)) for ladder in choices.values())):
        choice = dict(zip(choices, picked, strict=True))
        wider = graph.with_widths({group: choices[group][k].width for group, k in choice.items()})
        for price, bound in zip(prices, bounds, strict=True):
            assert price.total(choice) == bound.meter.cost(wider).total

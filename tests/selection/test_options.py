"""Ladders of widths, and what every layer costs on their rungs."""

from __future__ import annotations

import itertools
import math

import pytest
from families import FAMILIES, inputs
from networks import NETWORKS, sample

import easearch as ea
from easearch.budget import find_meter
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.moves import Candidate, NewNeuron, Remove, Split
from easearch.roles import Bound
from easearch.selection.options import options, pricing, stride


def graph_of(name: str = "tied") -> Graph:
    return ea.trace(NETWORKS[name]().double(), sample())


def splits(graph: Graph, group: str, *gains: float) -> list[Candidate]:
    return [
        Candidate(move=Split(group=group, channel=channel), gain=gain)
        for channel, gain in enumerate(gains)
    ]


def test_a_rung_is_the_sum_of_the_best() -> None:
    """From 6 channels: 8 is two away, and the two are those with the largest gains."""
    graph = graph_of()
    group = graph.groups["stem.0"]
    assert group.width == 6
    found = options(splits(graph, "stem.0", 1, 5, 2, -1, 4, 3), graph, 4)
    first, second = found["stem.0"]
    assert (first.width, first.gain, first.moves) == (6, 0.0, ())
    assert (second.width, second.gain) == (8, 9.0)
    assert [move.channels for move in second.moves] == [(1,), (4,)]


def test_every_growable_group_has_its_present_width() -> None:
    graph = graph_of()
    found = options([], graph, 4)
    assert {name: [o.width for o in ladder] for name, ladder in found.items()} == {
        group.name: [group.width] for group in graph.growable
    }


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_widths_are_multiples_of_the_step_and_gains_rise(step: int) -> None:
    graph = graph_of()
    candidates = [
        c
        for g in graph.growable
        for c in splits(graph, g.name, *(1 / (n + 1) for n in range(g.width)))
    ]
    for name, ladder in options(candidates, graph, step).items():
        assert ladder[0].width == graph.groups[name].width
        assert all(o.width % step == 0 for o in ladder[1:])
        assert all(a.width < b.width and a.gain < b.gain for a, b in itertools.pairwise(ladder))
        for option in ladder:
            assert graph.after(option.moves).groups[name].width == option.width
            assert option.gain == pytest.approx(
                sum(c.gain for c in candidates if any(c.move is m for m in option.moves))
            )


def test_a_move_that_brings_several_channels_counts_them() -> None:
    graph = graph_of()
    three = Candidate(move=Split(group="stem.0", channel=0, shares=(0.2, 0.3, 0.5)), gain=3.0)
    one = Candidate(move=NewNeuron(group="stem.0"), gain=1.0)
    ladder = options([one, three, one, one], graph, 2)["stem.0"]
    assert [(o.width, o.gain, len(o.moves)) for o in ladder] == [
        (6, 0.0, 0),
        (8, 3.0, 1),
        (10, 5.0, 3),
    ]


def test_what_brings_nothing_or_cannot_be_is_no_rung() -> None:
    graph = graph_of()
    frozen = next(g.name for g in graph.channel_groups if g.frozen)
    candidates = [*splits(graph, "stem.0", -1e-9, -1, -1, -1), *splits(graph, frozen, 9)]
    assert all(len(ladder) == 1 for ladder in options(candidates, graph, 1).values())


@pytest.mark.parametrize("meter", ["macs", "params", "memory"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_total_is_the_meters_own_at_every_choice(meter: str, name: str) -> None:
    graph = graph_of(name)
    candidates = [
        c for g in graph.growable[:3] for c in splits(graph, g.name, *([1.0] * min(g.width, 5)))
    ]
    choices = options(candidates, graph, 2)
    bound = Bound(meter=find_meter(meter), limit=1.0)
    price = pricing(graph, choices, bound)
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

        def charges(self, items: list[object]) -> object:
            asked.append(items)
            return find_meter("macs").charges(items)  # type: ignore[arg-type]

    graph = graph_of()
    choices = options(splits(graph, "stem.0", *([1.0] * 6)), graph, 1)
    pricing(graph, choices, Bound(meter=Counting(), limit=1.0))  # type: ignore[arg-type]
    (items,) = asked
    assert len(items) == len(set(items))


def family_graph(name: str) -> Graph:
    return ea.trace(FAMILIES[name].build().double(), inputs(FAMILIES[name], 1))


def written(graph: Graph, group: str) -> list[int]:
    """Columns of every stretch of the group in what its writers write."""
    return [
        graph.groups[group].width * segment.taps
        for writer in graph.groups[group].writers
        for segment in graph.by_name[writer].writes
        if segment.group == group
    ]


@pytest.mark.parametrize("step", [4, 8, 16])
@pytest.mark.parametrize("name", ["grouped", "resnext", "glu", "clean_shuffle", "pixel_shuffle"])
def test_the_columns_of_writers_fall_on_the_step(name: str, step: int) -> None:
    """Units of several channels: what a device computes in blocks are columns. And no width that
    would do is left out.
    """
    graph = family_graph(name)
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable
        for _ in range(3 * step)
    ]
    for group, ladder in options(candidates, graph, step).items():
        width = graph.groups[group].width
        fitting = [
            wider
            for wider in range(width + 1, width + 3 * step + 1)
            if min(written(graph.with_widths({group: wider}), group)) % step == 0
        ]
        assert [option.width for option in ladder[1:]] == fitting
        assert len(ladder) > 1


def test_a_unit_of_two_columns_steps_by_half() -> None:
    graph = family_graph("grouped")
    taps = {group.name: min(written(graph, group.name)) // group.width for group in graph.growable}
    assert sorted(taps.values()) == [1, 2]
    assert {name: stride(graph, name, 8) for name in taps} == {n: 8 // t for n, t in taps.items()}
    assert {stride(graph, name, 1) for name in taps} == {1}


def test_other_moves_than_widenings_are_refused() -> None:
    graph = graph_of()
    taken = Candidate(move=Remove(group="stem.0", channels=(1,)), gain=1.0)
    with pytest.raises(BudgetError, match=r"expected .* \(Split, NewNeuron\), got Remove; "):
        options([taken], graph, 4)


def test_a_charge_over_many_groups_is_one_over_sums() -> None:
    """A concatenation of many: as many prices as sums, not as combinations."""
    graph = family_graph("densenet")
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable
        for _ in range(32)
    ]
    choices = options(candidates, graph, 4)
    price = pricing(graph, choices, Bound(meter=find_meter("macs"), limit=1.0))
    widest = max((c for moment in price.moments for c in moment), key=lambda c: len(c.groups))
    assert len(widest.groups) > 3
    combinations = math.prod(len(choices[name]) for name in widest.groups)
    assert len(widest.prices) < combinations / 50

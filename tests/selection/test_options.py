"""Ladders of widths: the best sum of gains for each, within floors and ceilings."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from choosing import family_graph, graph_of, splits

from easearch.errors import BudgetError
from easearch.graph import Graph, stride
from easearch.moves import Candidate, NewLayer, NewNeuron, Remove, Split
from easearch.roles import Range
from easearch.selection.options import Option, options


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


@pytest.mark.parametrize(
    "move", [Remove(group="stem.0", channels=(1,)), NewLayer(behind="acts.1")], ids=["out", "deep"]
)
def test_other_moves_than_widenings_are_refused(move: Any) -> None:
    kind = type(move).__name__
    with pytest.raises(BudgetError, match=rf"expected .* \(Split, NewNeuron\), got {kind}; "):
        options([Candidate(move=move, gain=1.0)], graph_of(), 4)


def best_sums(candidates: list[Candidate]) -> dict[int, float]:
    """By trying every subset: added channels -> the best sum, at most one candidate a channel."""
    best: dict[int, float] = {}
    for size in range(len(candidates) + 1):
        for chosen in itertools.combinations(candidates, size):
            split = [c.move.channels for c in chosen if c.move.channels]
            if len(set(split)) == len(split):
                added = sum(c.move.added for c in chosen)
                best[added] = max(best.get(added, 0.0), sum(c.gain for c in chosen))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_of_alternatives_for_a_channel_at_most_one_is_taken(seed: int) -> None:
    """Splits of one channel in 2, 3 or 4, and new neurons: what trying every subset finds."""
    draw = random.Random(seed)
    shares = [(0.5, 0.5), (0.2, 0.3, 0.5), (0.25, 0.25, 0.25, 0.25)]
    graph = graph_of()
    candidates = [
        Candidate(move=Split(group="stem.0", channel=channel, shares=parts), gain=draw.random())
        for channel in range(3)
        for parts in draw.sample(shares, k=draw.randint(1, 3))
    ]
    candidates += [
        Candidate(move=NewNeuron(group="stem.0"), gain=draw.random())
        for _ in range(draw.randint(0, 2))
    ]
    draw.shuffle(candidates)
    ladder = options(candidates, graph, 1)["stem.0"]
    assert {o.width - 6: pytest.approx(o.gain) for o in ladder} == best_sums(candidates)
    for option in ladder:
        assert graph.after(option.moves).groups["stem.0"].width == option.width  # none split twice
        own = [c.gain for c in candidates if any(c.move is m for m in option.moves)]
        assert option.gain == pytest.approx(sum(own))


def widths(ladder: tuple[Option, ...]) -> list[int]:
    return [option.width for option in ladder]


def test_a_ceiling_ends_the_ladder_and_a_lock_leaves_the_present_width() -> None:
    graph = graph_of()
    candidates = splits(graph, "stem.0", *([1.0] * 6))
    for wanted, found in [
        (Range(high=9), [6, 8]),
        (Range(high=8), [6, 8]),
        (Range(high=6), [6]),
        (Range.locked(), [6]),
        (Range(), [6, 8, 10, 12]),
    ]:
        assert widths(options(candidates, graph, 2, {"stem.0": wanted})["stem.0"]) == found


def test_harm_is_done_only_for_a_floor() -> None:
    """From 6: two candidates help, four harm; a floor of 9 takes as many of them as it must."""
    graph = graph_of()
    candidates = splits(graph, "stem.0", 1.0, 2.0, -0.1, -0.2, -0.3, -0.4)
    assert widths(options(candidates, graph, 2)["stem.0"]) == [6, 8]
    ladder = options(candidates, graph, 2, {"stem.0": Range(low=9)})["stem.0"]
    assert [(o.width, o.gain) for o in ladder] == [(6, 0.0), (8, 3.0), (10, pytest.approx(2.7))]

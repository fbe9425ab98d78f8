"""Lineages: where every channel comes from, and how axes with several groups and taps follow."""

from __future__ import annotations

import pytest
import torch

from easearch.errors import GraphError
from easearch.graph import ChannelGroup, Graph, Segment
from easearch.growth.channel_mapping import NEWBORN, axis_of, lineages, resizing
from easearch.moves import NewNeuron, Remove, Split

GRAPH = Graph(
    (),
    tuple(
        ChannelGroup(name=name, width=width, writers=(), followers=(), readers=())
        for name, width in (("a", 3), ("b", 2))
    ),
)
LAYOUT = (Segment("a", 2), Segment("b"), Segment("a"))
"""The columns of `a` twice, two taps and one, with those of `b` between them."""


def test_the_first_offspring_stays_and_the_others_are_appended() -> None:
    moves = [
        Split(group="a", channel=1, shares=(0.25, 0.5, 0.25)),
        NewNeuron(group="a"),
        Split(group="a", channel=0, shares=(1.5, -0.5)),
    ]
    (line,) = lineages(GRAPH, moves).values()
    assert line.parents == [0, 1, 2, 1, 1, NEWBORN, 0]
    assert line.shares == [1.5, 0.25, 1.0, 0.5, 0.25, 1.0, -0.5]
    for parent in range(3):
        shares = zip(line.parents, line.shares, strict=True)
        assert sum(s for p, s in shares if p == parent) == 1.0


def test_groups_without_moves_have_no_lineage() -> None:
    assert set(lineages(GRAPH, [Split(group="b", channel=0)])) == {"b"}
    assert axis_of(GRAPH, (Segment("a"),), 0, lineages(GRAPH, [NewNeuron(group="b")])) is None


def test_an_axis_follows_segments_and_taps() -> None:
    axis = axis_of(GRAPH, LAYOUT, 1, lineages(GRAPH, [Split(group="a", channel=2)]))
    assert axis is not None
    assert axis.before == 3 * 2 + 2 + 3
    assert axis.index.tolist() == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 10, 10]
    old = torch.arange(11.0).repeat(2, 1)
    x = torch.randn(11)
    wide = x[axis.index]
    assert torch.allclose(axis.gather(old, born=0.0, shared=True) @ wide, old @ x)


def test_a_newborns_columns_are_what_they_are_born_with() -> None:
    axis = axis_of(GRAPH, LAYOUT, 0, lineages(GRAPH, [NewNeuron(group="b")]))
    assert axis is not None
    grown = axis.gather(torch.ones(11, 4), born=7.0)
    assert (grown == 7.0).all(1).nonzero().flatten().tolist() == [8]


def test_resizing_names_the_groups_that_change_alone() -> None:
    found = resizing(GRAPH, {"a": 5, "b": 2})
    assert {name: line.width for name, line in found.items()} == {"a": 5}
    assert resizing(GRAPH, {"a": 1})["a"].parents == [0]


def test_an_offset_of_another_size_is_refused() -> None:
    moves = [Split(group="a", channel=0, offsets=({"w": torch.ones(9)}, {}))]
    axis = axis_of(GRAPH, (Segment("a"),), 0, lineages(GRAPH, moves))
    assert axis is not None
    with pytest.raises(GraphError, match="expected 4 numbers for a channel of 'w', got 9"):
        axis.displace(torch.zeros(4, 4), "w")


def test_what_a_newborn_brings_takes_the_place_of_what_it_is_born_with() -> None:
    moves = [NewNeuron(group="a", into={"w": torch.tensor([5.0])})]
    axis = axis_of(GRAPH, (Segment("a"),), 0, lineages(GRAPH, moves))
    assert axis is not None
    grown = axis.gather(torch.zeros(3), born=1.0)
    assert grown.tolist() == [0, 0, 0, 1]
    axis.displace(grown, "other")
    assert grown.tolist() == [0, 0, 0, 1]
    axis.displace(grown, "w")
    assert grown.tolist() == [0, 0, 0, 5]


def test_a_removal_closes_the_gap_and_leaves_an_inheritance() -> None:
    moves = [
        Remove(group="a", channels=(1,)),
        Split(group="a", channel=0, shares=(1.5, -0.5)),
        NewNeuron(group="a", into={"w": torch.tensor([5.0])}),
    ]
    (line,) = lineages(GRAPH, moves, {"a": {1: 0}}).values()
    assert line.parents == [0, 2, 0, NEWBORN]
    assert line.displaced[-1][0] == 3
    assert line.inherited == [(0, 1, 1.5), (2, 1, -0.5)]
    axis = axis_of(GRAPH, LAYOUT, 1, {"a": line})
    assert axis is not None
    old = torch.randn(4, 11)
    new = axis.gather(old, born=0.0, shared=True)
    x = torch.randn(11)
    wide = x[axis.index] * (axis.index != NEWBORN)
    merged = old.clone()  # the function that the twins computed together
    merged[:, [0, 1, 8]] += old[:, [2, 3, 9]]
    merged[:, [2, 3, 9]] = 0
    assert torch.allclose(new @ wide, merged @ x, atol=1e-5)


def test_many_taps_are_laid_out_as_few() -> None:
    """The law of the layout: channel by channel, tap by tap."""
    taps, moves = 7, [Split(group="b", channel=0), NewNeuron(group="b")]
    axis = axis_of(GRAPH, (Segment("a"), Segment("b", taps)), 0, lineages(GRAPH, moves))
    assert axis is not None
    parents = [0, 1, 0]
    expected = [0, 1, 2] + [3 + p * taps + t for p in parents for t in range(taps)]
    assert axis.index.tolist() == expected + [NEWBORN] * taps
    shares = [(1.0, 3), (0.5, taps), (1.0, taps), (0.5, taps), (1.0, taps)]
    assert axis.share.tolist() == [share for share, times in shares for _ in range(times)]

"""square: `trace(apply(model, moves)) == trace(model).after(moves)`."""

from __future__ import annotations

import random

import pytest
import torch
from families import FAMILIES
from networks import NETWORKS, sample
from subjects import subject

import easearch as ea
from easearch.errors import GraphError


def plans(graph: ea.Graph, seed: int) -> list[ea.Split | ea.NewNeuron]:
    """Splits into two and three of some channels of every group, and some new neurons."""
    draw = random.Random(seed)
    moves: list[ea.Split | ea.NewNeuron] = []
    for group in graph.growable:
        for channel in draw.sample(range(group.width), k=min(3, group.width)):
            shares = draw.choice([(0.5, 0.5), (1.5, -0.5), (0.25, 0.5, 0.25)])
            moves.append(ea.Split(group=group.name, channel=channel, shares=shares))
        moves += [ea.NewNeuron(group=group.name)] * draw.randrange(3)
    draw.shuffle(moves)
    return moves


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_square(name: str, seed: int) -> None:
    model = NETWORKS[name]().double()
    graph = ea.trace(model, sample())
    moves = plans(graph, seed)
    assert ea.trace(ea.apply(model, graph, moves), sample()) == graph.after(moves)


@pytest.mark.parametrize("name", FAMILIES)
def test_square_on_families(name: str) -> None:
    model, x, graph = subject(f"family {name}")
    moves = plans(graph, 0) + removals(graph)
    assert ea.trace(ea.apply(model, graph, moves), x) == graph.after(moves)


def removals(graph: ea.Graph) -> list[ea.Remove]:
    """The last channel of every group that a plan leaves alone and that has others."""
    taken = {(m.group, c) for m in plans(graph, 0) for c in m.channels}
    return [
        ea.Remove(group=g.name, channels=(g.width - 1,))
        for g in graph.growable
        if g.width > 1 and (g.name, g.width - 1) not in taken
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_group_is_growable_or_says_why(name: str) -> None:
    graph = ea.trace(NETWORKS[name]().double(), sample())
    frozen = {group.name: group.frozen for group in graph.channel_groups if group.frozen}
    assert len(graph.growable) >= 3
    assert sorted(frozen.values()) == [
        "its channels are the network's input",
        "its channels are the network's output",
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_tracing_reads_and_does_not_touch(name: str) -> None:
    model = NETWORKS[name]().double().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert ea.trace(model, sample()) == ea.trace(model, sample(2))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_moves_that_do_not_fit_are_refused() -> None:
    model = NETWORKS["tied"]().double()
    graph = ea.trace(model, sample())
    (group, *_) = graph.growable
    frozen = next(g for g in graph.channel_groups if g.frozen)
    for move, told in (
        (ea.Split(group=group.name, channel=group.width), f"between 0 and {group.width - 1}"),
        (ea.Split(group=group.name[:-1] + "x", channel=0), f"did you mean '{group.name}'"),
        (ea.Split(group=frozen.name, channel=0), frozen.frozen or ""),
    ):
        with pytest.raises(GraphError, match=r"network.s input|between|did you mean") as caught:
            ea.apply(model, graph, [move])
        assert told in str(caught.value)
    twice = [ea.Split(group=group.name, channel=0)] * 2
    with pytest.raises(GraphError, match="split twice"):
        ea.apply(model, graph, twice)
    remove = [ea.Remove(group=group.name, channels=(0,))]
    with pytest.raises(GraphError, match="removed twice"):
        graph.after(remove * 2)
    with pytest.raises(GraphError, match="both split and removed"):
        graph.after([*twice[:1], *remove])
    with pytest.raises(GraphError, match="that stays"):
        graph.after([ea.Remove(group=group.name, channels=tuple(range(group.width)))])
    with pytest.raises(GraphError, match="to remove, got none"):
        ea.Remove(group=group.name, channels=())
    with pytest.raises(GraphError, match="shares that sum to 1"):
        ea.Split(group=group.name, channel=0, shares=(0.5, 0.6))

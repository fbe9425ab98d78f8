"""remove: taking away what was just added gives the network back, in all its numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import sample
from subjects import SUBJECTS, subject
from test_silence import outputs, practised
from test_square import plans

import easearch as ea


def added(graph: ea.Graph, moves: list[ea.Split | ea.NewNeuron]) -> list[ea.Remove]:
    """Takes away all that the moves have added."""
    after = graph.after(moves)
    return [
        ea.Remove(group=g.name, channels=tuple(range(g.width, after.groups[g.name].width)))
        for g in graph.channel_groups
        if after.groups[g.name].width > g.width
    ]


@pytest.mark.parametrize("name", SUBJECTS)
def test_remove_takes_back_what_was_added(name: str) -> None:
    model, x, graph = subject(name)
    moves = plans(graph, 0)
    wider = ea.apply(model, graph, moves)
    back = ea.apply(wider, graph.after(moves), added(graph, moves))
    assert graph.after(moves).after(added(graph, moves)) == graph == ea.trace(back, x)
    got = back.state_dict()
    assert got.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.allclose(got[key], value, rtol=1e-12, atol=1e-14), key
    for training in (False, True):
        expected = outputs(copy.deepcopy(model), x, training)
        for one, other in zip(outputs(back, x, training), expected, strict=True):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


@pytest.mark.parametrize("kind", ["nesterov", "adam", "rmsprop", "adamax"])
def test_the_optimizer_comes_back_too(kind: str) -> None:
    """First moments of columns add up to the parent's; second moments are the parent's."""
    model, optimizer = practised("tied", kind)
    graph = subject("tied")[2]
    moves = plans(graph, 0)
    wider, carried = ea.apply(model, graph, moves, optimizer=optimizer)
    back, last = ea.apply(wider, graph.after(moves), added(graph, moves), optimizer=carried)
    for (name, old), new in zip(model.named_parameters(), back.parameters(), strict=True):
        for key, value in optimizer.state[old].items():
            same = torch.as_tensor(last.state[new][key])
            assert torch.allclose(same, torch.as_tensor(value), rtol=1e-9, atol=1e-15), (name, key)


def test_without_a_twin_the_columns_go() -> None:
    """Removing a neuron is the same as silencing its reader columns."""
    model, x, graph = subject("plain")
    removed = ea.apply(model, graph, [ea.Remove(group="hidden", channels=(4, 1))])
    silenced = copy.deepcopy(model)
    with torch.no_grad():
        silenced.head.weight[:, [1, 4]] = 0
        assert removed.head.weight.shape[1] == removed.hidden.weight.shape[0] == 7
        assert removed.hidden.out_features == removed.head.in_features == 7
        assert torch.allclose(removed(x), silenced(x), rtol=1e-12)


def test_the_offspring_of_a_twin_share_what_it_inherits() -> None:
    model, _, graph = subject("plain")
    first = [ea.Split(group="hidden", channel=2)]
    wider, between = ea.apply(model, graph, first), graph.after(first)
    again = [
        ea.Split(group="hidden", channel=2, shares=(1.5, -0.5)),
        ea.Remove(group="hidden", channels=(9,)),
        ea.NewNeuron(group="hidden"),
    ]
    end = ea.apply(wider, between, again)
    with torch.no_grad():
        parent = model.head.weight[:, 2]
        assert torch.allclose(end.head.weight[:, 2], 1.5 * parent)
        assert torch.allclose(end.head.weight[:, 9], -0.5 * parent)
        assert torch.allclose(end(sample()), model(sample()), rtol=1e-12)


def test_a_moved_offspring_is_no_twin() -> None:
    model, _, graph = subject("plain")
    step = {"hidden.bias": torch.tensor(1e-9, dtype=torch.float64)}
    moves = [ea.Split(group="hidden", channel=2, offsets=(step, {}))]
    back = ea.apply(
        ea.apply(model, graph, moves),
        graph.after(moves),
        [ea.Remove(group="hidden", channels=(9,))],
    )
    assert torch.equal(back.head.weight[:, 2], 0.5 * model.head.weight[:, 2])

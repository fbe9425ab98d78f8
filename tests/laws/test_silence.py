"""silence: with zero offsets, or a neuron at birth, the output is the same, in evaluation and in
training mode.
"""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, batches, sample, trained
from test_square import plans

import easearch as ea


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_silence(name: str, training: bool) -> None:
    model = trained(name).train(training)
    graph = ea.trace(model, sample())
    wider = ea.apply(model, graph, plans(graph, 0))
    x = sample(8)
    with torch.no_grad():
        expected = copy.deepcopy(model)(x)
        got = wider(x)
    assert torch.allclose(got, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_given_model_stays_as_it_was(name: str) -> None:
    model = trained(name)
    graph = ea.trace(model, sample())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wider = ea.apply(model, graph, plans(graph, 1))
    for parameter in wider.parameters():
        parameter.data.add_(1.0)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert ea.trace(model, sample()) == graph


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["sgd", "nesterov", "adam", "adamw"])
def test_the_optimizer_goes_on(name: str, kind: str) -> None:
    """A step right after a silent growth moves the function as the step before it would have.

    Exact to first order in the rate where the state alone moves the parameters (no gradient at
    all): rows repeat the parent's step, columns take their share of it. Weights stay tied to the
    optimizer, groups keep their options.
    """
    make = {
        "sgd": lambda p: torch.optim.SGD(p, lr=1e-5, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=1e-5, momentum=0.9, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, lr=1e-6),
        "adamw": lambda p: torch.optim.AdamW(p, lr=1e-6, weight_decay=0.0),
    }[kind]
    model = trained(name).train()
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = make([{"params": weights, "lr": 1e-5}, {"params": others}])
    for x, y in batches():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    graph = ea.trace(model, sample())
    moves = [
        ea.Split(group=g.name, channel=c) for g in graph.growable for c in range(0, g.width, 2)
    ]
    wider, carried = ea.apply(model, graph, moves, optimizer=optimizer)
    assert [len(g["params"]) for g in carried.param_groups] == [len(weights), len(others)]
    assert {id(p) for g in carried.param_groups for p in g["params"]} == {
        id(p) for p in wider.parameters()
    }
    x = sample(8)
    with torch.no_grad():
        moved = _step_on_state(copy.deepcopy(model), optimizer, model)(x) - model(x)
        moved_wider = _step_on_state(copy.deepcopy(wider), carried, wider)(x) - wider(x)
    assert float(moved.abs().max()) > 1e-9
    assert torch.allclose(moved_wider, moved, rtol=0.02, atol=0.02 * float(moved.abs().max()))


def _step_on_state(
    twin: torch.nn.Module, optimizer: torch.optim.Optimizer, model: torch.nn.Module
) -> torch.nn.Module:
    """The twin after a step of the momentum (over the second moment's root, where there is one)."""
    twins = dict(twin.named_parameters())
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        if "momentum_buffer" in state:
            twins[name].sub_(1e-5 * state["momentum_buffer"])
        else:
            twins[name].sub_(1e-5 * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + 1e-8))
    return twin


def test_new_neuron_brings_what_it_says() -> None:
    """Outgoing columns act at once, and only they."""
    model = trained("plain")
    graph = ea.trace(model, sample())
    into = {"hidden.weight": torch.ones(7).double(), "hidden.bias": torch.zeros(1).double()}
    out = {"head.weight": torch.full((5,), 2.0).double()}
    wider = ea.apply(model, graph, [ea.NewNeuron(group="hidden", into=into, out=out)])
    x = sample()
    with torch.no_grad():
        features = model.norm(F.silu(model.two(torch.tanh(model.one(x)))).mean((2, 3)))
        expected = model(x) + 2.0 * torch.sigmoid(features.sum(1, keepdim=True))
        assert torch.allclose(wider(x), expected)

"""silence: with zero offsets, or a neuron at birth, the output is the same, in evaluation and in
training mode.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, batches, sample, trained
from subjects import MASKED, SUBJECTS, in_mode, subject
from test_square import plans
from torch import Tensor, nn

import easearch as ea
from easearch.errors import GraphError


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("training", [False, True])
def test_silence(name: str, training: bool) -> None:
    """Splits into two to four with shares of any sign, and newborn neurons, change nothing."""
    if training and name in MASKED:
        pytest.skip("draws masks over channels in its forward pass: other widths draw others")
    model, x, graph = subject(name)
    moves = [*plans(graph, 0), *_in_four(graph)]
    expected = outputs(copy.deepcopy(model), x, training)
    got = outputs(ea.apply(model, graph, moves), x, training)
    for one, other in zip(got, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


def _in_four(graph: ea.Graph) -> list[ea.Split]:
    """A channel of every group that a plan leaves alone, into four with signed shares."""
    taken = {(m.group, c) for m in plans(graph, 0) for c in m.channels}
    free = {g.name: c for g in graph.growable for c in range(g.width) if (g.name, c) not in taken}
    return [ea.Split(group=g, channel=c, shares=(0.5, -0.75, 1, 0.25)) for g, c in free.items()]


def outputs(model: nn.Module, x: Tensor, training: bool) -> tuple[Tensor, ...]:
    """All that the model gives in that mode; whole samples or branches are dropped alike."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = in_mode(model, training)(x)
    return tuple(found) if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_given_model_stays_as_it_was(name: str) -> None:
    model, x, graph = subject(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wider = ea.apply(model, graph, plans(graph, 1))
    for parameter in wider.parameters():
        parameter.data.add_(1.0)
    for buffer in wider.buffers():
        buffer.data.add_(1)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert ea.trace(model, x) == graph


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=RATE, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.0),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=RATE, momentum=0.9, centered=True),
    "nadam": lambda p: torch.optim.NAdam(p, lr=RATE),
    "radam": lambda p: torch.optim.RAdam(p, lr=RATE),
    "adamax": lambda p: torch.optim.Adamax(p, lr=RATE),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=RATE),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=RATE),
    "asgd": lambda p: torch.optim.ASGD(p, lr=RATE),
}
RATE = 1e-6
STILL = ("adagrad", "adadelta", "asgd")
"""Their state scales a step and moves nothing by itself."""
ALL_SHARES = ((0.5, 0.5), (1.5, -0.5), (0.25, 0.5, 0.25), (0.5, -0.75, 1.0, 0.25))


@pytest.mark.parametrize("shares", ALL_SHARES)
@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "adam") for name in NETWORKS), *(("tied", kind) for kind in OPTIMIZERS)],
)
def test_the_optimizer_goes_on(name: str, kind: str, shares: tuple[float, ...]) -> None:
    """A step of the optimizer itself right after a silent growth, on its state alone (gradients of
    zero), moves the function as it would have before.

    Exact to first order in the rate: rows repeat the parent's step, columns take their share of it.
    Weights stay tied to the optimizer, groups keep their options.
    """
    model, optimizer = practised(name, kind)
    graph = subject(name)[2]
    moves = [
        ea.Split(group=g.name, channel=c, shares=shares)
        for g in graph.growable
        for c in range(0, g.width, 2)
    ]
    wider, carried = ea.apply(model, graph, moves, optimizer=optimizer)
    assert [len(g["params"]) for g in carried.param_groups] == [
        len(g["params"]) for g in optimizer.param_groups
    ]
    assert {id(p) for g in carried.param_groups for p in g["params"]} == {
        id(p) for p in wider.parameters()
    }
    for parameter, state in carried.state.items():
        assert all(v.shape in ((), (1,), parameter.shape) for v in state.values() if _tensor(v))
    moved = _moved_by_state(model, graph, optimizer)
    moved_wider = _moved_by_state(wider, graph.after(moves), carried)
    if kind not in STILL:
        assert float(moved.abs().max()) > 1e-9
        assert torch.allclose(moved_wider, moved, rtol=0.02, atol=0.02 * float(moved.abs().max()))
    assert torch.allclose(moved_wider, moved, atol=0.02 * float(moved.abs().max()) + 1e-12)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_what_scales_a_step_is_repeated_and_what_is_one_is_shared(kind: str) -> None:
    model, optimizer = practised("plain", kind)
    graph = subject("plain")[2]
    split = [ea.Split(group="hidden", channel=2, shares=(1.5, -0.5))]
    wider, carried = ea.apply(model, graph, split, optimizer=optimizer)
    old, new = optimizer.state[model.head.weight], carried.state[wider.head.weight]
    compared = 0
    for key, value in old.items():
        if _tensor(value) and value.shape == model.head.weight.shape:
            shares = (1.5, -0.5) if key in ("momentum_buffer", "exp_avg", "ax") else (1.0, 1.0)
            assert torch.equal(new[key][:, 2], shares[0] * value[:, 2]), key
            assert torch.equal(new[key][:, 9], shares[1] * value[:, 2]), key
            compared += 1
    assert compared


def _tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def practised(name: str, kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and an optimizer that has made some steps, in two groups of options."""
    model = copy.deepcopy(subject(name)[0]).train()
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = OPTIMIZERS[kind]([{"params": weights}, {"params": others, "lr": RATE / 2}])
    for x, y in batches():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), optimizer


def _moved_by_state(model: nn.Module, graph: ea.Graph, optimizer: Any) -> Tensor:
    twin, twins_own = ea.apply(model, graph, [], optimizer=optimizer)
    for parameter in twin.parameters():
        parameter.grad = torch.zeros_like(parameter)
    x = sample(8)
    with torch.no_grad():
        before = twin(x)
        twins_own.step()
        return twin(x) - before


@pytest.mark.parametrize("kind", [torch.optim.Rprop, torch.optim.LBFGS])
def test_optimizers_whose_steps_have_a_size_of_their_own_are_refused(kind: Any) -> None:
    model, _, graph = subject("plain")
    with pytest.raises(GraphError, match="make a new one after the growth"):
        ea.apply(model, graph, [], optimizer=kind(model.parameters()))


def test_state_of_another_shape_is_refused() -> None:
    model = copy.deepcopy(subject("plain")[0])
    optimizer = torch.optim.Adafactor(model.parameters())
    F.cross_entropy(model(sample()), torch.arange(4)).backward()
    optimizer.step()
    split = [ea.Split(group="hidden", channel=0)]
    with pytest.raises(GraphError, match="expected optimizer state 'row_var'"):
        ea.apply(model, subject("plain")[2], split, optimizer=optimizer)


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

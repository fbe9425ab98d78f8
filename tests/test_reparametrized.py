"""Weights that are computed: widened exactly where they can be any, frozen by name where not."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import easearch as ea


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Doubled(nn.Module):
    """A parametrization of one's own that can hold every weight."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / 2


class Positive(nn.Module):
    """One that cannot."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.exp()

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.clamp(min=1e-3).log()


class Scaled(nn.Module):
    """One whose own numbers have the weight's size: it can hold any weight of this size alone."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(rows, 1, 1, 1) + 0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.scale


def network(change: Callable[[nn.Sequential], object]) -> nn.Sequential:
    """Dense, depthwise, grouped, transposed convolutions and linear layers, then changed."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.Tanh(),
        nn.Conv2d(6, 8, 3, padding=1, groups=2),
        nn.Tanh(),
        nn.ConvTranspose2d(8, 5, 2, 2),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(20, 7),
        nn.Tanh(),
        nn.Linear(7, 4),
    ).double()
    change(model)
    return model.eval()


WEIGHTED = (0, 2, 4, 6, 10, 12)


def every(make: Callable[[nn.Module], object]) -> Callable[[nn.Sequential], object]:
    return lambda model: [make(model[place]) for place in WEIGHTED]


def stacked(model: nn.Sequential) -> None:
    parametrizations.weight_norm(model[0])
    parametrize.register_parametrization(model[0], "weight", Doubled())
    parametrize.register_parametrization(model[10], "bias", Doubled())


def masked(model: nn.Sequential) -> None:
    for place in (0, 4, 10):
        prune.l1_unstructured(model[place], "weight", 0.5)
    prune.ln_structured(model[6], "weight", 0.4, n=2, dim=1)
    prune.random_structured(model[12], "weight", 0.3, dim=1)
    prune.random_unstructured(model[0], "bias", 0.3)


GROWS: dict[str, Callable[[nn.Sequential], object]] = {
    "weight norm": every(parametrizations.weight_norm),
    "weight norm of columns": every(lambda m: parametrizations.weight_norm(m, dim=1)),
    "weight norm of the whole": every(lambda m: parametrizations.weight_norm(m, dim=None)),
    "the older weight norm": every(nn.utils.weight_norm),
    "the older weight norm of columns": every(lambda m: nn.utils.weight_norm(m, dim=1)),
    "the older weight norm of the whole": every(lambda m: nn.utils.weight_norm(m, dim=None)),
    "one's own": every(lambda m: parametrize.register_parametrization(m, "weight", Doubled())),
    "one upon another": stacked,
    "masks": masked,
    "masks twice": lambda m: (masked(m), prune.l1_unstructured(m[0], "weight", 3)),
}


def moves_of(graph: ea.Graph) -> list[Any]:
    moves: list[Any] = []
    for group in graph.growable:
        moves.append(ea.Split(group=group.name, channel=0, shares=(1.5, -0.5)))
        moves.append(ea.Split(group=group.name, channel=group.width - 1))
        moves.append(ea.NewNeuron(group=group.name))
    return moves


def sample() -> Tensor:
    return torch.randn(4, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def trained(model: nn.Module) -> torch.optim.Optimizer:
    """A step, as everybody makes: weights of hooks are then no leaves."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        model(sample()).square().mean().backward()
        optimizer.step()
    model(sample())
    return optimizer


@pytest.mark.parametrize("case", GROWS)
def test_computed_weights_grow_in_silence(case: str) -> None:
    model, x = network(GROWS[case]), sample()
    optimizer = trained(model)
    before = copy.deepcopy(dict(model.state_dict()))
    graph = ea.trace(model, x)
    assert {g.name for g in graph.growable} >= {"0", "10"}
    assert all("network's" in g.frozen for g in graph.channel_groups if g.frozen)
    moves = moves_of(graph)
    wider, again = ea.apply(model, graph, moves, optimizer=optimizer)
    assert all(torch.equal(old, model.state_dict()[name]) for name, old in before.items())
    assert before.keys() == wider.state_dict().keys()
    assert ea.trace(wider, x) == graph.after(moves)
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)
    assert torch.allclose(wider.train()(x), model(x), rtol=1e-9, atol=1e-9)
    held = {id(p) for group in again.param_groups for p in group["params"]}
    assert held == {id(p) for p in wider.parameters()}
    wider(x).square().mean().backward()
    again.step()  # with the state that came along
    second = ea.apply(wider, graph.after(moves), moves_of(graph.after(moves)))
    assert torch.allclose(second.eval()(x), wider.eval()(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ["weight norm", "the older weight norm", "masks"])
def test_what_is_put_in_is_taken_away_again(case: str) -> None:
    model, x = network(GROWS[case]), sample()
    graph = ea.trace(model, x)
    moves = [ea.Split(group="10", channel=2), ea.NewNeuron(group="0")]
    wider, after = ea.apply(model, graph, moves), graph.after(moves)
    back = [ea.Remove(group="10", channels=(7,)), ea.Remove(group="0", channels=(2,))]
    less = ea.apply(wider, after, back)
    assert torch.allclose(less(x), model(x), rtol=1e-9, atol=1e-9)
    assert ea.trace(less, x).widths == graph.widths


@pytest.mark.parametrize("case", ["weight norm", "the older weight norm", "masks"])
def test_steps_promise_what_they_give(case: str) -> None:
    """Scored and grown, the loss falls by the gain at a small step."""
    model, x = network(GROWS[case]), sample()
    graph, y = ea.trace(model, x), torch.ones(4, 4, dtype=torch.float64)
    found = ea.score(
        model, graph, [(x, y)], ea.Splitting(step=1e-3, crossfit=False), loss=F.mse_loss
    )
    best = next(one for one in found if one.move.group == "10")
    wider = ea.apply(model, graph, [best.move])
    fell = float((F.mse_loss(model(x), y) - F.mse_loss(wider(x), y)).detach())
    if case != "masks":  # a masked weight does not go along
        assert fell == pytest.approx(best.gain, rel=0.2)
    assert fell > 0


def test_masks_stay() -> None:
    model, x = network(masked), sample()
    graph = ea.trace(model, x)
    moves = [ea.Split(group="0", channel=1), ea.NewNeuron(group="0")]
    wider = ea.apply(model, graph, moves)
    old, new = model[0].weight_mask, wider[0].weight_mask
    assert torch.equal(new[:6], old)
    assert torch.equal(new[6:9], old[3:])  # a unit is the three that a grouped convolution reads
    assert new[9:].all()
    assert torch.equal(wider[0].weight_orig[:6], model[0].weight_orig)
    prune.remove(wider[0], "weight")
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)


def test_a_weight_that_two_layers_share() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = parametrizations.weight_norm(nn.Linear(6, 6))
            self.b, self.c = nn.Linear(3, 6), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.b(x).tanh()
            return self.c(self.a(self.a(x).tanh()).tanh())

    torch.manual_seed(0)
    model, x = Shared().double().eval(), torch.randn(5, 3, dtype=torch.float64)
    graph = ea.trace(model, x)
    wider = ea.apply(model, graph, moves_of(graph))
    assert graph.growable
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    change = GROWS["weight norm"]
    model, x = network(change), sample()
    graph = ea.trace(model, x)
    wider = ea.apply(model, graph, moves_of(graph))
    ea.save(wider, tmp_path / "net", sample=x)
    again = ea.load(tmp_path / "net", factory=lambda: network(change).float())
    assert torch.allclose(again.double()(x), wider(x), atol=1e-5)


FREEZES: dict[str, tuple[Callable[[nn.Sequential], object], str]] = {
    "spectral norm": (lambda m: parametrizations.spectral_norm(m[4]), "_SpectralNorm"),
    "the older spectral norm": (lambda m: nn.utils.spectral_norm(m[4]), "SpectralNorm"),
    "orthogonal": (lambda m: parametrizations.orthogonal(m[10]), "_Orthogonal"),
    "positive": (
        lambda m: parametrize.register_parametrization(m[4], "weight", Positive()),
        "Positive",
    ),
    "of one size": (
        lambda m: parametrize.register_parametrization(m[4], "weight", Scaled(8)),
        "Scaled",
    ),
    "a hook": (lambda m: m[4].register_forward_pre_hook(lambda *_: None), "lambda"),
}


@pytest.mark.parametrize("case", FREEZES)
def test_other_computed_weights_freeze_by_name(case: str) -> None:
    change, name = FREEZES[case]
    model, x = network(change), sample()
    trained(model)
    graph = ea.trace(model, x)
    assert any(name in (group.frozen or "") for group in graph.channel_groups)
    assert graph.growable
    ea.score(model, graph, [(x, model(x).detach() + 1)], "births", loss=F.mse_loss)
    wider = ea.apply(model, graph, moves_of(graph))
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)
    assert ea.trace(wider, x) == graph.after(moves_of(graph))


def _plain_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


PUT_ON: dict[str, Callable[[nn.Module], Any]] = {
    "mask": lambda layer: prune.l1_unstructured(layer, "weight", 0.4),
    "weight norm": torch.nn.utils.parametrizations.weight_norm,
    "older weight norm": torch.nn.utils.weight_norm,
    "older spectral norm": torch.nn.utils.spectral_norm,
}


@pytest.mark.parametrize("name", PUT_ON)
def test_what_was_put_on_a_network_and_trained_is_exported_and_saved(
    name: str, tmp_path: Path
) -> None:
    """While gradients flow through the weights that were computed last; the factory builds the
    network without what computes them.
    """
    torch.manual_seed(0)
    model, x = _plain_net(), torch.randn(5, 6)
    PUT_ON[name](model[0])
    model(x).sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert ea.export(model, x, tmp_path / "model.onnx").difference < 1e-5
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    if name != "older spectral norm":  # cannot be taken apart
        ea.save(model, tmp_path / "saved", sample=x, factory=_plain_net)
        again = ea.load(tmp_path / "saved", factory=_plain_net)
        assert torch.allclose(again(x), model.eval()(x), atol=1e-6)

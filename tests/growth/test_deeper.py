"""New layers: silent at birth, where the graph says, under names that leave all others alone."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import NETWORKS, sample
from subjects import MASKED, SUBJECTS, subject
from test_silence import outputs
from test_square import plans
from torch import nn

import easearch as ea
from easearch.errors import GraphError
from easearch.growth.deeper import deepened, describe
from easearch.models import build

EVERY = 4
"""Of the places in a network, every fourth gets a layer: all kinds of places, in little time."""


def places(graph: ea.Graph) -> list[ea.NewLayer]:
    """A new layer wherever one can stand."""
    found = []
    for layer in graph.layers:
        for kind in ("conv", "linear"):
            move = ea.NewLayer(behind=layer.name, layer=kind, hidden=3, kernel=3, activation="silu")
            try:
                move.place(graph)
            except GraphError:
                continue
            found.append(move)
            break
    return found


@pytest.mark.parametrize("name", SUBJECTS)
def test_square_and_silence(name: str) -> None:
    """All of a plan at once: widths, new layers, and one new layer behind another."""
    model, x, graph = subject(name)
    moves: list[Any] = [*plans(graph, 0), *places(graph)[::EVERY]]
    after = graph.after(moves)
    chained = [m for m in places(after) if m.behind.endswith((".then.add", ".then.into"))][:2]
    moves = [*moves, *chained]
    deeper = ea.apply(model, graph, moves)
    assert ea.trace(deeper, x) == graph.after(moves)
    if not moves:
        return
    assert all(key in deeper.state_dict() for key in model.state_dict())
    for training in (False, True):
        if training and name in MASKED:
            continue
        expected = outputs(copy.deepcopy(model), x, training)
        for one, other in zip(outputs(deeper, x, training), expected, strict=True):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_place_alone(name: str) -> None:
    model, x, graph = subject(name)
    assert len(places(graph)) >= 3
    for move in places(graph):
        assert ea.trace(ea.apply(model, graph, [move]), x) == graph.after([move]), move.behind


def test_a_layer_is_as_wide_as_what_it_reads_unless_told() -> None:
    """Its input's width after the moves on widths that come with it."""
    model, x, graph = subject("tied")
    moves = [ea.NewLayer(behind="acts.1"), ea.Split(group="stem.0", channel=0)]
    after = graph.after(moves)
    assert after.groups["acts.1.then.into"].width == graph.groups["stem.0"].width + 1
    assert ea.trace(ea.apply(model, graph, moves), x) == after


@pytest.mark.parametrize("activation", ["relu", "relu6", "silu", "hardswish", "sigmoid", "tanh"])
@pytest.mark.parametrize("kernel", [1, 5])
def test_square_of_every_form(activation: str, kernel: int) -> None:
    model, x, graph = subject("tied")
    move = ea.NewLayer(behind="acts.1", hidden=4, kernel=kernel, activation=activation)
    assert ea.trace(ea.apply(model, graph, [move]), x) == graph.after([move])


def test_it_computes_what_it_says() -> None:
    """`x + out(act(into(x)))`, with the numbers of the move; `scaled` scales the second half."""
    model, x, graph = subject("plain")
    into = {"weight": torch.randn(4, 9).double(), "bias": torch.randn(4).double()}
    out = {"weight": torch.randn(9, 4).double(), "bias": torch.randn(9).double()}
    move = ea.NewLayer(
        behind="hidden", layer="linear", hidden=4, activation="tanh", into=into, out=out
    )
    deeper = ea.apply(model, graph, [move.scaled(0.5)])
    seen: list[torch.Tensor] = []
    model.hidden.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        model(x)
        (hidden,) = seen
        model.hidden._forward_hooks.clear()
        inner = torch.tanh(hidden @ into["weight"].T + into["bias"])
        added = 0.5 * (inner @ out["weight"].T + out["bias"])
        expected = model.head(torch.sigmoid(hidden + added))
        assert torch.allclose(deeper(x), expected, rtol=1e-12)


def test_what_is_drawn_follows_the_seed_and_no_global_generator() -> None:
    model, _, graph = subject("tied")
    state = torch.random.get_rng_state()
    one, same, other = (
        ea.apply(model, graph, [ea.NewLayer(behind="acts.0", hidden=4, seed=seed)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.random.get_rng_state())
    weights = [m.acts[0].then.into.weight for m in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert float(weights[0].detach().abs().max()) > 0
    assert weights[0].dtype == torch.float64


def test_it_learns() -> None:
    """The second half is zero at birth and has a gradient that is not."""
    model, x, graph = subject("tied")
    deeper = ea.apply(model, graph, [ea.NewLayer(behind="acts.0", hidden=4)])
    deeper(x).square().sum().backward()
    residual = deeper.acts[0].then
    assert not residual.out.weight.any()
    assert residual.out.weight.grad.abs().max() > 0


def test_copies_and_pickles_are_the_same_network(tmp_path: Path) -> None:
    model, x, graph = subject("tied")
    moves = [ea.NewLayer(behind=m, hidden=4) for m in ("stem.1", "acts.0")]
    deeper = ea.apply(model, graph, moves)
    for again in (copy.deepcopy(deeper), pickle.loads(pickle.dumps(deeper))):
        assert type(again.stem[1]) is type(deeper.stem[1]) is deepened(nn.BatchNorm2d)
        assert isinstance(again.stem[1], nn.BatchNorm2d)
        assert again.stem[1].then is not deeper.stem[1].then
        assert torch.equal(again(x), deeper(x))
    torch.save({"norm": deeper.stem[1], "x": x}, tmp_path / "norm.pt")
    code = (
        "import sys, torch; "
        "print(type(torch.load(sys.argv[1], weights_only=False)['norm']).__name__)"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "norm.pt")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert fresh.stdout.strip() == "DeepenedBatchNorm2d"


def test_new_parameters_join_the_options_of_their_neighbours() -> None:
    model = copy.deepcopy(subject("tied")[0])
    graph = subject("tied")[2]
    weights = [p for p in model.parameters() if p.dim() > 1 and p is not model.head.weight]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.SGD(
        [
            {"params": [model.head.weight], "lr": 3.0},
            {"params": weights, "weight_decay": 0.1},
            {"params": plain},
        ],
        lr=0.1,
        momentum=0.9,
    )
    move = ea.NewLayer(behind="acts.0", hidden=4)
    deeper, carried = ea.apply(model, graph, [move], optimizer=optimizer)
    residual = deeper.acts[0].then
    held = [{id(p) for p in g["params"]} for g in carried.param_groups]
    assert {id(residual.into.weight), id(residual.out.weight)} <= held[1]
    assert {id(residual.into.bias), id(residual.out.bias)} <= held[2]
    assert set.union(*held) == {id(p) for p in deeper.parameters()}
    assert [len(g["params"]) for g in optimizer.param_groups] == [1, len(weights), len(plain)]
    deeper(sample()).sum().backward()
    carried.step()


class Dense(nn.ModuleDict):
    """Runs through all children that it has, as torchvision's dense blocks do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x]
        for layer in self.values():
            found.append(layer(torch.cat(found, 1)))
        return torch.cat(found, 1)


def test_a_container_does_not_run_the_new_layer_as_one_of_its_own() -> None:
    dense = Dense({"one": nn.Conv2d(3, 4, 1), "two": nn.Conv2d(7, 5, 1)})
    model = nn.Sequential(nn.Conv2d(1, 3, 1), dense, nn.Conv2d(12, 2, 1)).double().eval()
    x = sample()
    graph = ea.trace(model, x)
    move = ea.NewLayer(behind="1.cat_2", hidden=4)
    deeper = ea.apply(model, graph, [move, ea.Split(group="1.one", channel=2)])
    assert torch.allclose(deeper(x), model(x), rtol=1e-12)
    assert "then" in deeper[1]._modules
    after = graph.after([move, ea.Split(group="1.one", channel=2)])
    assert ea.trace(deeper, x) == after


class Middle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 5, 3)
        self.again, self.same = nn.ReLU(), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.same(self.again(self.one(x)) * 2.0)
        return self.again(self.two(x)).mean((2, 3))


@pytest.mark.parametrize(
    ("behind", "layer", "told"),
    [
        ("mul", "conv", "middle of a forward pass, no module's output; it can behind 'one'"),
        ("again", "conv", "'again' gives more than one value"),
        ("same", "conv", "a module of kind 'identity' cannot be told"),
        ("two", "linear", "a linear takes values whose channels come last"),
        ("onw", "conv", "did you mean 'one'"),
        ("input", "conv", "middle of a forward pass"),
    ],
)
def test_places_that_are_none_are_refused(behind: str, layer: Any, told: str) -> None:
    model = Middle().eval()
    graph = ea.trace(model, torch.zeros(1, 1, 9, 9))
    behind = "x" if behind == "input" else behind
    with pytest.raises(GraphError) as caught:
        graph.after([ea.NewLayer(behind=behind, layer=layer, hidden=2)])
    assert told in str(caught.value)


def test_numbers_that_make_no_layer_are_refused() -> None:
    for wrong in ({"hidden": 0}, {"kernel": 4}, {"activation": "rellu"}, {"layer": "lstm"}):
        with pytest.raises(GraphError, match="new layer"):
            ea.NewLayer(**{"behind": "one", "hidden": 2, **wrong})
    model, _, graph = subject("plain")
    for wrong in ({"weigth": torch.ones(4, 5, 3, 3)}, {"weight": torch.ones(4, 5, 1, 1)}):
        with pytest.raises(GraphError, match="expected 'into' of a new layer to hold a weight"):
            ea.apply(model, graph, [ea.NewLayer(behind="one", hidden=4, into=wrong)])


def test_the_same_place_twice_is_refused() -> None:
    _, _, graph = subject("tied")
    moves = [ea.NewLayer(behind="acts.0", hidden=4)] * 2
    with pytest.raises(GraphError, match="no conv can be put behind"):
        graph.after(moves)
    behind = ea.NewLayer(behind="acts.0.then.add", hidden=2)
    assert "acts.0.then.then.into" in graph.after([moves[0], behind]).groups


def test_saved_and_loaded(tmp_path: Path) -> None:
    """`architecture.json` puts the layers into the seed again, in their order."""
    arguments: dict[str, Any] = {
        "classes": 5,
        "layout": [[8, 1, 1], [8, 1, 2]],
        "stem_channels": 8,
    }
    model = build("mobilenet_v1", **arguments).eval()
    x = torch.randn(2, *_input(model))
    graph = ea.trace(model, x)
    first = places(graph)[0]
    moves = [first, ea.NewLayer(behind=_last(graph.after([first])), hidden=2, kernel=1)]
    grown = ea.apply(model, graph, moves)
    after = graph.after(moves)
    split = [ea.Split(group=g.name, channel=0) for g in after.growable]
    grown = ea.apply(grown, after, split)
    with torch.no_grad():
        for parameter in grown.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    ea.save(grown, tmp_path, sample=x, factory="mobilenet_v1", arguments=arguments)
    loaded = ea.load(tmp_path)
    assert torch.equal(loaded(x), grown.eval()(x))
    assert ea.trace(loaded, x) == after.after(split)
    assert [one["behind"] for one in describe(after)] == [move.behind for move in moves]


def _last(graph: ea.Graph) -> str:
    return next(layer.name for layer in graph.layers if layer.name.endswith(".then.add"))


def _input(model: nn.Module) -> tuple[int, ...]:
    first = next(p for p in model.parameters() if p.dim() == 4)
    return (first.shape[1], 12, 12)

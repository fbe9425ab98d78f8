"""The program that scoring runs computes what the model does, and overwrites nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs, settled
from torch import Tensor, fx, nn

import easearch as ea
from easearch.errors import ScoringError
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.unit import Unit


@pytest.mark.parametrize("name", FAMILIES)
def test_the_program_computes_what_the_model_does(name: str) -> None:
    """At a batch size that it was not made with; every layer of the graph is a node of it."""
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, 5, seed=3)
    graph, wires = ea.trace(model, inputs(family)), TracedProgram(model, (inputs(family, 1),))
    y = torch.arange(5) % family.classes
    captured = Capturer(model, (), (), wires).capture(x, y, F.cross_entropy)
    with torch.no_grad():
        expected = float(F.cross_entropy(model(x), y))
    assert captured.loss == pytest.approx(expected, rel=1e-12)
    assert {layer.name for layer in graph.layers} <= set(wires.nodes)


def _method(x: Tensor) -> Tensor:
    y = 2 * x
    z = y.relu_()
    return y + z


def _function(x: Tensor) -> Tensor:
    y = 2 * x
    z = torch.relu_(y)
    return y + z


def _flag(x: Tensor) -> Tensor:
    y = 2 * x
    z = F.leaky_relu(y, 0.1, True)
    return y + z


def _keyword(x: Tensor) -> Tensor:
    y = 2 * x
    z = F.relu(y, inplace=True)
    return y + z


def _counted(x: Tensor) -> Tensor:
    n = x.size(1)
    m = n
    m += 1
    return x * n + m


OVERWRITING = [_method, _function, _flag, _keyword, _counted]


class Calling(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = 2 * x
        z = self.act(y)
        return y + z


@pytest.mark.parametrize("model", [*map(Calling, OVERWRITING), Module()])
def test_nothing_is_overwritten_and_who_looks_later_sees_the_new(model: nn.Module) -> None:
    x = torch.randn(3, 4, dtype=torch.float64)
    wires = TracedProgram(model)
    names = [wires.names[node] for node in wires.traced.graph.nodes if node.op != "output"]
    kept: dict[str, Tensor] = {}

    class Keeping(Capturer):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if isinstance(result, Tensor):
                kept[self.wires.names[n]] = result
                kept[self.wires.names[n] + " before"] = result.clone()
            return result

    found = Keeping(model, [(name, "") for name in names], (), wires).run(x)
    assert torch.equal(found, model(x.clone()))
    for name in names:
        if name in kept:
            assert torch.equal(kept[name], kept[f"{name} before"])


def test_what_asks_for_the_form_alone_keeps_no_memory() -> None:
    family = FAMILIES["view_dynamic"]
    model, x = settled(family), inputs(family, 6)
    graph, wires = ea.trace(model, x), TracedProgram(model)
    units = [Unit(model, graph, group, wires=wires) for group in graph.growable]
    sizes = [node for node in wires.traced.graph.nodes if node.target == "size"]
    edges = [(wires.names[node.args[0]], wires.names[node]) for node in sizes]
    assert edges
    captured = Capturer(model, edges, (), wires).capture(x, torch.zeros(6).long(), F.cross_entropy)
    assert all(value.untyped_storage().nbytes() <= 8 for value in captured.values.values())
    assert all(value.shape[0] == 6 for value in captured.values.values())
    assert all(unit.entrances for unit in units)


def test_a_graph_of_another_model_is_refused() -> None:
    graph = ea.trace(settled(FAMILIES["mlp"]), inputs(FAMILIES["mlp"]))
    other = nn.Sequential(nn.Linear(10, 5)).double()
    with pytest.raises(ScoringError, match="use its own graph"):
        ea.score(other, graph, [(inputs(FAMILIES["mlp"]), torch.zeros(4).long())])

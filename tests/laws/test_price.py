"""Law `price`: tables sum to totals, and moves cost what a wider model costs."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES, inputs
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from easearch.budget import METERS, Latency, find_meter
from easearch.budget.latency.kernels import shapes_of
from easearch.graph import Graph
from easearch.moves import Candidate, NewNeuron, Split
from easearch.roles import Bound
from easearch.selection.charges import pricing
from easearch.selection.options import options
from easearch.tracing import trace

COUNTED = ("macs", "params", "size", "memory", "energy")


def unit(i: int, o: int, k: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU())


class Separable(nn.Module):
    """Depthwise and pointwise, a linear head behind a flatten that keeps positions."""

    def __init__(self, first: int = 6, second: int = 8) -> None:
        super().__init__()
        self.stem = unit(3, first, 3, 2)
        self.deep = unit(first, first, 3, groups=first)
        self.point = unit(first, second, 1, 2)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(second * 4, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.point(self.deep(self.stem(x))))


class Residual(nn.Module):
    """A stream with two additions and an activation behind one of them."""

    def __init__(self, first: int = 6, second: int = 8) -> None:
        super().__init__()
        self.stem = unit(3, first, 3)
        self.wide = unit(first, second, 1)
        self.back = nn.Conv2d(second, first, 3, padding=1)
        self.again = nn.Sequential(nn.Conv2d(first, first, 1), nn.BatchNorm2d(first))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(first, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.back(self.wide(x)))
        x = x + self.again(x)
        return self.head(self.pool(x).mean((2, 3)))


class Vectors(nn.Module):
    """Linear layers, a norm over vectors and a norm that no matrix takes in."""

    def __init__(self, first: int = 6, second: int = 8) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(12, first), nn.BatchNorm1d(first), nn.SiLU())
        self.two = nn.Sequential(nn.Linear(first, second), nn.Tanh(), nn.BatchNorm1d(second))
        self.head = nn.Linear(second, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(self.one(x)))


NETS: dict[str, tuple[Callable[..., nn.Module], torch.Tensor, tuple[str, str]]] = {
    "separable": (Separable, torch.zeros(1, 3, 8, 8), ("stem.0", "point.0")),
    "residual": (Residual, torch.zeros(1, 3, 8, 8), ("stem.0", "wide.0")),
    "vectors": (Vectors, torch.zeros(1, 12), ("one.0", "two.0")),
}


def graph_of(name: str, *widths: int) -> Graph:
    build, sample, _ = NETS[name]
    return trace(build(*widths).eval(), sample)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for the module: what one test measures the next may read."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("EASEARCH_CACHE", str(folder))
        patch.setattr("easearch.budget.devices.counters.POWERCAP", folder / "no counters")
        yield folder


@pytest.fixture(params=list(NETS))
def net(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("meter", list(METERS))
def test_cost_is_overhead_and_dearest_moment(net: str, meter: str) -> None:
    graph = graph_of(net)
    priced: Any = find_meter(meter)
    cost = priced.cost(graph)
    moments = priced.moments(graph)
    sums = [
        sum(priced.charges(graph, [shapes_of(graph, item) for item in moment]))
        for moment in moments
    ]
    assert cost.total == pytest.approx(priced.overhead(graph) + max(sums), rel=1e-12)
    assert cost.total == sum(cost.rows.values())
    assert {layer.name for layer in graph.layers} <= set(cost.rows)
    assert (cost.meter, cost.unit) == (meter, priced.unit)
    assert priced.uncounted(graph) == ()


@pytest.mark.parametrize("meter", list(METERS))
def test_moments_do_not_depend_on_widths(net: str, meter: str) -> None:
    graph = graph_of(net)
    wider = graph.with_widths({group.name: group.width + 16 for group in graph.growable})
    priced: Any = find_meter(meter)
    assert [set(m) for m in priced.moments(graph)] == [set(m) for m in priced.moments(wider)]


@pytest.mark.parametrize("meter", COUNTED)
def test_price_of_moves_is_that_of_the_wider_model(net: str, meter: str) -> None:
    first, second = NETS[net][2]
    graph, wider = graph_of(net), graph_of(net, 6 + 3, 8 + 2)
    moves = [
        *(Split(group=first, channel=i) for i in (0, 2)),
        Split(group=second, channel=1, shares=(0.5, 0.25, 0.25)),
        NewNeuron(group=first),
    ]
    priced: Any = find_meter(meter)
    price = priced.cost(graph.after(moves)).total - priced.cost(graph).total
    assert price == priced.cost(wider).total - priced.cost(graph).total
    assert price > 0
    assert priced.cost(graph.after(moves)) == priced.cost(wider)


def test_macs_equal_two_independent_counts(net: str) -> None:
    build, sample, _ = NETS[net]
    model = build().eval()
    counted = FlopCountAnalysis(model, sample)
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = counted.by_operator()
    macs = find_meter("macs").cost(trace(model, sample)).total
    assert macs == by_operator["conv"] + by_operator["linear"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(sample)
    assert macs == counter.get_total_flops() / 2


def test_params_equal_the_models_own(net: str) -> None:
    build, sample, _ = NETS[net]
    model = build().eval()
    own = sum(parameter.numel() for parameter in model.parameters())
    assert find_meter("params").cost(trace(model, sample)).total == own


def test_latency_is_measured_once_and_kept(net: str) -> None:
    graph = graph_of(net)
    first, second = Latency(), Latency()
    cost = first.cost(graph)
    assert second.cost(graph) == cost
    assert second.table.measured == 0
    assert second.cost(graph_of(net)) == cost
    wider = graph.with_widths({group.name: group.width for group in graph.growable})
    assert second.cost(wider) == cost
    assert cost.total > 0


def _seeds() -> dict[str, Callable[..., nn.Module]]:
    if importlib.util.find_spec("easearch.models") is None:
        return {}
    return dict(importlib.import_module("easearch.models").SEEDS)


@pytest.mark.parametrize("seed", sorted(_seeds()))
def test_seeds_are_counted_like_fvcore(seed: str) -> None:
    made: Any = _seeds()[seed]
    model = (made.build() if hasattr(made, "build") else made()).eval()
    sample = torch.zeros(1, *_input_of(model))
    graph = trace(model, sample)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(sample)
    assert find_meter("macs").cost(graph).total == counter.get_total_flops() / 2
    own = sum(parameter.numel() for parameter in model.parameters())
    assert find_meter("params").cost(graph).total == own


def _input_of(model: nn.Module) -> tuple[int, ...]:
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv1d | nn.Linear))
    if isinstance(first, nn.Linear):
        return (first.in_features,)
    return (first.in_channels,) + (32,) * len(first.kernel_size)


PRODUCTS = {"product", "dot_product_attention", "multihead_attention"}
"""Kinds with products of two values, which torch's counter knows under other names, or not."""


@functools.cache
def family_graph(family: str) -> Graph:
    return trace(FAMILIES[family].build().double(), inputs(FAMILIES[family], 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_params_of_every_family(family: str) -> None:
    """All of the model's own, each tensor once."""
    own = sum(parameter.numel() for parameter in FAMILIES[family].build().parameters())
    assert find_meter("params").cost(family_graph(family)).total == own


@pytest.mark.parametrize("family", FAMILIES)
def test_macs_of_every_family(family: str) -> None:
    graph, meter = family_graph(family), find_meter("macs")
    if PRODUCTS & {layer.kind for layer in graph.layers}:
        pytest.skip("products of two values")
    model = FAMILIES[family].build().double().eval()
    with FlopCounterMode(display=False) as counter:
        model(inputs(FAMILIES[family], 1))
    total, missing = meter.cost(graph).total, meter.uncounted(graph)  # type: ignore[attr-defined]
    assert total == counter.get_total_flops() / 2 or (
        missing and total < counter.get_total_flops() / 2
    )


@pytest.mark.parametrize("meter", COUNTED)
@pytest.mark.parametrize("family", FAMILIES)
def test_price_of_moves_on_every_family(family: str, meter: str) -> None:
    """What the selectors add up is the difference of two whole networks, at any choice."""
    graph = family_graph(family)
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable
        for _ in range(8)
    ]
    choices, priced = options(candidates, graph, 1), find_meter(meter)
    (price,) = pricing(graph, choices, [Bound(meter=priced, limit=1.0)])
    draw = random.Random(family)
    start = dict.fromkeys(choices, 0)
    for _ in range(4):
        picked = {name: draw.randrange(len(ladder)) for name, ladder in choices.items()}
        moves = [move for name, k in picked.items() for move in choices[name][k].moves]
        before, after = priced.cost(graph).total, priced.cost(graph.after(moves)).total
        assert price.total(picked) - price.total(start) == pytest.approx(after - before, rel=1e-12)
        assert price.total(picked) == pytest.approx(after, rel=1e-12)
        if moves and meter != "memory":
            assert after > before

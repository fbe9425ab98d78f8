"""What one growth does: new layers within the limits, and widths of the network that has them."""

from __future__ import annotations

import pytest
import torch
from networks import NETWORKS, sample

import easearch as ea
from easearch.budget import find_meter
from easearch.growth.planning import Growth, Planner, affordable, deepened
from easearch.growth.training import Training
from easearch.moves import Candidate
from easearch.roles import Bound
from easearch.scoring import criterion
from easearch.selection import selector

STREAM = {"mobilenet_v1": "blocks.0.pointwise.act", "tied": "acts.1"}
"""A layer whose channels others read and write: what stands behind it is widened with them."""


def growth_of(name: str) -> tuple[torch.nn.Module, ea.Graph, Growth, list[Bound]]:
    torch.manual_seed(2)
    model = NETWORKS[name]().double().eval()
    graph = ea.trace(model, sample())
    channels = graph.channels(graph.by_name[STREAM[name]].writes)
    out = {"weight": 0.1 * torch.randn(channels, 3, 1, 1, dtype=torch.float64)}
    layer = ea.NewLayer(behind=STREAM[name], hidden=3, kernel=1, activation="silu", out=out)
    macs = find_meter("macs")
    bounds = [Bound(meter=macs, limit=2.5 * macs.cost(graph).total)]
    layers = affordable([Candidate(move=layer, gain=0.1)], graph, bounds, 1)
    deep = deepened(graph, layers)
    scores = criterion("random").score(model, graph, [], torch.nn.functional.cross_entropy)
    plan = selector("exact").select(scores, deep, bounds, 2)
    return model, graph, Growth(layers=layers, deep=deep, plan=plan), bounds


@pytest.mark.parametrize("name", STREAM)
def test_a_growth_is_one_network_whichever_way_it_is_made(name: str) -> None:
    """With an optimizer or without: the trace is the arithmetic's, the function at factor 0 the
    old one's, widths within the limits with the layer in.
    """
    model, graph, growth, bounds = growth_of(name)
    stream = next(iter(graph.by_name[STREAM[name]].groups))
    assert growth.layers and growth.plan.widths[stream] > graph.groups[stream].width
    optimizer = Training(epochs=1, rate=0.1).optimizer(model)
    x = torch.randn(4, *sample().shape[1:], dtype=torch.float64)
    with torch.no_grad():
        expected = model(x)
        for factor in (0.0, 0.5, 1.0):
            grown = growth.of(model, graph, factor)
            carried, _ = growth.of(model, graph, factor, optimizer)
            assert torch.equal(grown(x), carried(x))
            after = ea.trace(grown, sample())
            assert after == growth.deep.after(growth.plan.moves)
            assert all(bound.meter.cost(after).total <= bound.limit for bound in bounds)
            change = float((grown(x) - expected).abs().max())
            assert (change < 1e-12) is (factor == 0.0)
        # the layer's own part: without it the step is another
        widths = ea.apply(model, graph, growth.plan.moves)
        assert float((growth.of(model, graph, 1.0)(x) - widths(x)).abs().max()) > 1e-6
    assert growth.gain == pytest.approx(growth.plan.gain + 0.1)


def test_layers_come_in_best_first_as_many_as_may_and_fit() -> None:
    _, graph, _, bounds = growth_of("mobilenet_v1")
    place = STREAM["mobilenet_v1"]

    def candidate(hidden: int, gain: float, behind: str = place) -> Candidate:
        return Candidate(move=ea.NewLayer(behind=behind, hidden=hidden, kernel=1), gain=gain)

    wide, vain, small = candidate(4096, 0.9), candidate(2, 0.0, "stem.act"), candidate(2, 0.3)
    better, taken = candidate(3, 0.5), candidate(2, 0.4)
    other = candidate(2, 0.2, "stem.act")
    found = affordable([small, vain, wide, other, taken, better], graph, bounds, 3)
    # one a place: behind what stands there already is another layer's
    assert list(found) == [better, other]
    assert affordable([better], graph, bounds, 0) == ()
    tight = [Bound(meter=bounds[0].meter, limit=bounds[0].meter.cost(graph).total)]
    assert affordable([better, small], graph, tight, 2) == ()


@pytest.mark.parametrize("gains", [(1e-9, 1e-9), (0.3, 1e-9), (0.3, 0.2), (1e-9, 0.3)])
def test_layers_and_widths_are_one_knapsack(gains: tuple[float, float]) -> None:
    """As many of the best layers come in as make the whole growth gain most: brute force over how
    many, each with the widths that fit beside it.
    """
    model, graph, _, bounds = growth_of("mobilenet_v1")
    places = (STREAM["mobilenet_v1"], "stem.act")
    layers = [
        Candidate(move=ea.NewLayer(behind=place, hidden=4, kernel=1), gain=gain)
        for place, gain in zip(places, gains, strict=True)
    ]
    scores = criterion("random").score(model, graph, [], torch.nn.functional.cross_entropy)
    scores.layers = layers
    told: list[str] = []
    exact = selector("exact")
    planner = Planner(
        round="growth 1",
        selector=exact,
        width_step=2,
        layers=2,
        verify=lambda graph, bounds: {},
        price=lambda meter, graph: meter.cost(graph).total,
        told=told.append,
    )
    ranked = sorted(layers, key=lambda one: -one.gain)
    wholes = [
        sum(one.gain for one in ranked[:number])
        + exact.select(scores, deepened(graph, ranked[:number]), bounds, 2).gain
        for number in range(3)
    ]
    found = planner.growth(scores, graph, bounds, {}, product=True)
    assert found.gain == pytest.approx(max(wholes))
    assert len(found.layers) == wholes.index(max(wholes))
    assert bool(told) is (not found.layers)

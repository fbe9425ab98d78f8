"""Widths that are set beforehand: the plan takes them, and says what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from networks import sample, trained

import easearch as ea
from easearch.comparing.arms.uniform_grown import Blank, Given
from easearch.growth.verifying import verified
from easearch.roles import Bound


@pytest.mark.parametrize("name", ["mobilenet_v1", "tied"])
def test_the_plan_has_the_widths_and_every_price(name: str) -> None:
    model = trained(name)
    graph = ea.trace(model, sample())
    widths = {g.name: g.width + (0 if g.frozen else 4) for g in graph.channel_groups}
    wide = graph.with_widths(widths)
    bounds = [
        Bound(meter=bound.meter, limit=1.01 * bound.meter.cost(wide).total)
        for bound in ea.Budget({"macs": "2x", "params": "2x"}).bounds(graph)
    ]
    found = Blank(widths=widths, seed=0).score(model, graph, [], lambda outputs, targets: outputs)
    solver = Given(stages=((bounds[0].limit, widths),))
    plan = solver.select(found, graph, bounds, 4)
    assert ea.trace(ea.apply(model, graph, plan.moves), sample()).widths == widths
    assert [price.meter for price in plan.prices] == ["macs", "params"]
    assert [price.after for price in plan.prices] == [b.meter.cost(wide).total for b in bounds]

    def measure(one: ea.Plan) -> dict[str, float]:
        return {price.meter: price.after / price.limit for price in one.prices}

    def choose(limits: Sequence[Bound]) -> ea.Plan:
        return solver.select(found, graph, limits, 4)

    kept, holds = verified(choose, bounds, dict.fromkeys(["macs", "params"], 0.0), measure, print)
    assert holds
    assert kept.widths == widths

"""Plans measured as a whole: the one that is kept holds, and uses what the limit leaves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
import torch

import easearch as ea
from easearch.budget import find_meter
from easearch.graph import Graph
from easearch.growth.verifying import FULL, LOOSEST, MEASURED, Span, verified
from easearch.models import build
from easearch.moves import Plan
from easearch.roles import Bound
from easearch.scoring import criterion
from easearch.selection import selector

MODEL = build("mobilenet_v1", layout=[[16, 1, 1], [24, 1, 2], [32, 1, 2]], stem_channels=16)
GRAPH: Graph = ea.trace(MODEL, torch.zeros(1, 1, 28, 28))
CANDIDATES = criterion("random").score(MODEL, GRAPH, [], torch.nn.functional.cross_entropy)
METER = find_meter("macs")
OWN = METER.cost(GRAPH).total
LIMIT = 2.2 * OWN
WIDEST = METER.cost(
    GRAPH.with_widths({group.name: 2 * group.width for group in GRAPH.growable})
).total
"""As far as splits can go in one growth."""
STEP = 2

Distortion = Callable[[int, float], float]
"""(number of the measurement, predicted over limit) -> measured over limit."""
DISTORTIONS: dict[str, Distortion] = {
    "as predicted": lambda n, x: x,
    "cheaper": lambda n, x: 0.9 * x,
    "a quarter cheaper": lambda n, x: 0.75 * x,
    "cheaper, with a step above": lambda n, x: 0.8 * x if x < 1.1 else 1.1 * x,
    "half as dear": lambda n, x: 0.5 * x,
    "a fifth dearer": lambda n, x: 1.2 * x,
    "a call on top": lambda n, x: 0.3 + 0.85 * x,
    "half of it twice": lambda n, x: 0.5 * x + 0.75 * x**2,
    "steep above nine tenths": lambda n, x: x * (1 + 3 * max(x - 0.9, 0.0)),
    "a step at eight tenths": lambda n, x: x if x < 0.8 else 1.2 * x,
    "busy at first": lambda n, x: 1.25 if n == 0 else 0.99 * x,
    "very busy at first": lambda n, x: 1.6 if n == 0 else 0.99 * x,
    "busy twice": lambda n, x: 1.2 * x if n < 2 else 0.99 * x,
    "busy in the middle": lambda n, x: (0.4 + 0.7 * x) * (1.3 if n == 1 else 1.0),
    "far too dear": lambda n, x: 3 * x,
}

STEPS = {
    "a step at eight tenths": 0.8,
    "cheaper, with a step above": 0.88,
    "half as dear": 0.5 * min(WIDEST / LIMIT, LOOSEST),
}
"""What the fullest plan measures, over the limit, where that is not about 1."""


@dataclass
class Bench:
    """One search: what was measured, and what was told."""

    distortion: Distortion
    measured: list[tuple[dict[str, int], float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def choose(self, bounds: Sequence[Bound]) -> Plan:
        return selector("exact").select(CANDIDATES, GRAPH, bounds, STEP)

    def __call__(self, plan: Plan) -> Mapping[str, float]:
        share = METER.cost(GRAPH.with_widths(plan.widths)).total / LIMIT
        found = self.distortion(len(self.measured), share)
        self.measured.append((dict(plan.widths), found))
        return {"macs": found}

    def run(self) -> tuple[Plan, bool]:
        bounds = [Bound(meter=METER, limit=LIMIT)]
        return verified(self.choose, bounds, {"macs": OWN}, self, self.told.append)


def of_kept(bench: Bench, plan: Plan) -> float:
    return min(ratio for widths, ratio in bench.measured if widths == plan.widths)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_plan_that_is_kept_holds_and_fills_the_limit(name: str) -> None:
    bench = Bench(DISTORTIONS[name])
    plan, holds = bench.run()
    assert len(bench.measured) <= MEASURED
    seen = Counter(tuple(sorted(widths.items())) for widths, _ in bench.measured)
    assert max(seen.values()) <= 2
    assert bench.told or len(bench.measured) == 1
    if name == "far too dear":  # even without any growth
        assert not holds
        assert plan.widths == GRAPH.widths
        return
    assert holds
    kept = of_kept(bench, plan)
    assert kept <= 1.0
    assert kept == max(ratio for _, ratio in bench.measured if ratio <= 1.0)
    if name in STEPS:  # below the step there is nothing fuller than it
        assert kept > 0.97 * STEPS[name]
    else:
        assert kept >= FULL


def test_a_limit_that_is_not_measured_ends_the_search() -> None:
    """Where another limit is full, there is no room to come back to."""
    params = find_meter("params")
    tight = Bound(meter=params, limit=1.3 * params.cost(GRAPH).total)
    bounds = [Bound(meter=METER, limit=LIMIT), tight]
    bench = Bench(lambda n, x: 1.1 if n == 0 else 0.5 * x)
    floors = {"macs": OWN, "params": params.cost(GRAPH).total}
    plan, holds = verified(bench.choose, bounds, floors, bench, bench.told.append)
    assert holds
    assert params.cost(GRAPH.with_widths(plan.widths)).total >= FULL * tight.limit


def test_nothing_to_measure_takes_the_first_plan() -> None:
    bench = Bench(DISTORTIONS["as predicted"])
    bounds = [Bound(meter=METER, limit=LIMIT)]
    plan, holds = verified(bench.choose, bounds, {"macs": OWN}, lambda plan: {}, bench.told.append)
    assert holds and not bench.told
    assert plan.widths == bench.choose(bounds).widths


@pytest.mark.parametrize("slope", [0.3, 1.0, 4.0])
def test_a_span_closes_in_on_the_limit_that_is_just_met(slope: float) -> None:
    """Measured is 1 at `1.0`, with any slope there: every try is inside, and they come near."""
    span = Span(full=1.4, floor=0.1)
    seen = []
    for _ in range(12):
        limit = span.next()
        if limit is None:
            break
        if span.held and span.over:
            assert span.held[0] < limit < span.over[0]
        seen.append(limit)
        span.take(limit, limit, math.exp(slope * (limit - 1.0)))
    assert span.held is not None and math.exp(slope * (span.held[0] - 1.0)) > 0.98

"""The uniform network: on the grid, within every limit, and the next wider one is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import easearch as ea
from easearch.budget import Latency, find_meter
from easearch.budget.utilization import MARGIN
from easearch.graph import Graph, stride
from easearch.models import build
from easearch.preflight import uniform as module
from easearch.preflight.uniform import predicted, uniform_ladder, widest_uniform
from easearch.roles import Bound, Range


@pytest.fixture(scope="module", params=["mobilenet_v1", "mobilenet_v2"])
def graph(request: pytest.FixtureRequest) -> Graph:
    return ea.trace(build(request.param, width=0.25), torch.zeros(1, 1, 16, 16))


def bounds(graph: Graph, times: float) -> list[Bound]:
    meters = [find_meter(name) for name in ("macs", "params")]
    factors = (times, 1.5 * times)
    return [
        Bound(meter=m, limit=f * m.cost(graph).total) for m, f in zip(meters, factors, strict=True)
    ]


@pytest.mark.parametrize("times", [1.5, 2.5, 6.0])
@pytest.mark.parametrize("step", [4, 8])
def test_it_is_the_last_of_the_ladder_that_keeps_every_limit(
    graph: Graph, times: float, step: int
) -> None:
    limits = bounds(graph, times)
    found = widest_uniform(graph, limits, step)
    ladder = uniform_ladder(graph, limits, step, {})
    fitting = [wide.widths for _, wide in ladder if predicted(wide, limits) <= 1]
    assert found.widths == fitting[-1]
    assert found.share <= 1 < predicted(ladder[-1][1], limits)
    assert ladder[0][1] == graph and found.widths != graph.widths
    for (_, before), (factor, wide) in pairwise(ladder):
        assert all(wide.widths[name] >= before.widths[name] for name in wide.widths)
        for group in wide.growable:
            own, seed = stride(graph, group.name, step), graph.groups[group.name].width
            assert group.width % own == 0 or group.width == seed
            assert abs(group.width - factor * seed) <= own / 2 + 1e-6 or group.width == seed


def test_ceilings_and_locks_hold(graph: Graph) -> None:
    first, second, *_ = (group.name for group in graph.growable)
    ranges = {
        first: Range.locked(),
        second: Range(high=graph.groups[second].width + 5),
    }
    found = widest_uniform(graph, bounds(graph, 3.0), 4, ranges)
    assert found.widths[first] == graph.groups[first].width
    assert found.widths[second] == graph.groups[second].width + 4


class Stairs(Latency):
    """A latency that predicts multiply-adds and measures them on a staircase, by its own factor."""

    def __init__(self, factor: float, stairs: float) -> None:
        super().__init__("host")
        self.factor, self.stairs = factor, stairs

    def cost(self, graph: Graph):  # type: ignore[no-untyped-def]
        return replace(find_meter("macs").cost(graph), meter="latency")

    def whole(self, graph: Graph, rounds: int = 20) -> tuple[float, float]:
        macs = find_meter("macs").cost(graph).total
        return self.factor * self.stairs * -(-macs // self.stairs), 0.0


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_where_latency_can_be_measured_it_is_measured(graph: Graph, factor: float) -> None:
    """Predictions may be wrong either way; what is taken has been measured within the limit."""
    own = find_meter("macs").cost(graph).total
    meter = Stairs(factor, own / 4)
    limit = Bound(meter=meter, limit=3 * own)
    found = widest_uniform(graph, [limit], 4)
    ladder: Sequence[tuple[float, Graph]] = uniform_ladder(graph, [limit], 4, {})
    shares = [MARGIN * meter.whole(wide)[0] / limit.limit for _, wide in ladder]
    at = [wide.widths for _, wide in ladder].index(dict(found.widths))
    assert found.share == shares[at] <= 1
    assert all(share > 1 for share in shares[at + 1 : at + 1 + module.MISSES])
    by_table = widest_uniform(graph, [limit], 4, measure=False)
    assert predicted(graph.with_widths(by_table.widths), [limit]) <= 1

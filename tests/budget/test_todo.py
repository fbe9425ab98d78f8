"""Law: one round of the vendor's table holds all that plans of a network need."""

from __future__ import annotations

import csv
import random
from functools import cache
from pathlib import Path

import pytest
import torch

from easearch.budget import Budget, Latency
from easearch.budget.latency.pasted import DESCRIBED
from easearch.budget.latency.reachable import reachable
from easearch.budget.latency.rows import Item, describe, item_key
from easearch.budget.latency.table import LatencyTable
from easearch.budget.profiling import pasted
from easearch.errors import DeviceError
from easearch.graph import Graph
from easearch.models import SEEDS
from easearch.moves import Candidate, NewNeuron
from easearch.selection import select
from easearch.tracing import trace

REACH = 2.0


@pytest.fixture(autouse=True)
def budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))


@cache
def graph_of(name: str) -> Graph:
    if name in SEEDS:
        return trace(SEEDS[name]().eval(), torch.zeros(1, 1, 28, 28))
    from easearch.data._torchvision import torchvision

    torchvision("models")
    timm = pytest.importorskip("timm")
    return trace(timm.create_model(name).eval(), torch.zeros(1, 3, 64, 64))


def filled(items: list[Item], precision: str, path: Path, seed: int) -> Path:
    """The list as it comes back: any positive numbers."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*DESCRIBED, "us", "item"])
        for item in items:
            key = item_key(item, precision)
            rows.writerow([*describe(item, precision), draw.uniform(1, 100), key])
    return path


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("name", "step"), [*((n, 8) for n in SEEDS), ("mobilenet_v1", 16), ("mobilenetv2_050", 8)]
)
def test_one_round_is_enough(name: str, step: int, precision: str, tmp_path: Path) -> None:
    graph = graph_of(name)
    items = reachable(graph, step, REACH)
    pasted("npu", filled(items, precision, tmp_path / "list.csv", step), step=step)
    table = LatencyTable("npu", precision=precision)
    assert all(table.has(item) for item in items)  # asked again, nothing is missing
    meter = Latency("npu", precision)
    assert meter.cost(graph).total > 0
    draw = random.Random(step)
    for _ in range(3):  # any widths within reach, on the step or off
        factors = {group.name: draw.uniform(1, REACH) for group in graph.growable}
        widths = {
            name: min(
                step * round(graph.groups[name].width * f / step + 0.5) - draw.choice((0, 4)),
                int(REACH * graph.groups[name].width),
            )
            for name, f in factors.items()
        }
        assert meter.cost(graph.with_widths({n: w - w % 4 for n, w in widths.items()})).total > 0
    # Candidates beyond its reach: the plan stays within.
    candidates = [
        Candidate(move=NewNeuron(group=group.name), gain=1.0)
        for group in graph.growable
        for _ in range(int(1.5 * group.width))
    ]
    budget = Budget({"latency": "2.5x"}, "npu", precision)
    plan = select(candidates, graph, budget, selector="greedy")
    assert plan.moves
    assert meter.cost(graph.with_widths(plan.widths)).total <= 2.5 * meter.cost(graph).total
    beyond = graph.with_widths({g.name: 4 * g.width for g in graph.growable})
    with pytest.raises(DeviceError, match="--todo"):
        meter.cost(beyond)


def test_a_second_list_is_added_to_the_first(tmp_path: Path) -> None:
    graph = graph_of("mobilenet_v1")
    items = reachable(graph, 8, 1.0)
    for precision in ("fp32", "int8"):
        found = pasted("npu", filled(items, precision, tmp_path / "list.csv", 0), step=8)
    assert found.rows == 2 * len(items)
    for precision in ("fp32", "int8"):
        assert Latency("npu", precision).cost(graph).total > 0

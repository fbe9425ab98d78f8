from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from easearch.budget import METERS, Budget, find_meter
from easearch.budget.meters import load_plugins
from easearch.budget.quantities import parse, spelled
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.tracing import trace


@pytest.mark.parametrize(
    ("limits", "meter", "value", "relative"),
    [
        ({"latency_ms": 4}, "latency", 4.0, False),
        ({"latency_us": 400}, "latency", 0.4, False),
        ({"latency": "4 ms"}, "latency", 4.0, False),
        ({"latency": "400us"}, "latency", 0.4, False),
        ({"latency": "2.5x"}, "latency", 2.5, True),
        ({"macs": 12_000_000}, "macs", 12e6, False),
        ({"macs": "12M"}, "macs", 12e6, False),
        ({"macs": "1.2 G"}, "macs", 1.2e9, False),
        ({"macs": "2 X"}, "macs", 2.0, True),
        ({"params": "200k"}, "params", 200e3, False),
        ({"params": "200_000"}, "params", 200e3, False),
        ({"memory": "320 KiB"}, "memory", 320 * 1024.0, False),
        ({"memory_kb": 320}, "memory", 320e3, False),
        ({"memory_mb": "0.5"}, "memory", 0.5e6, False),
        ({"memory_bytes": 1e5}, "memory", 1e5, False),
    ],
)
def test_quantities(limits: dict[str, object], meter: str, value: float, relative: bool) -> None:
    quantity = Budget(limits).quantities[meter]  # type: ignore[arg-type]
    assert quantity.value == pytest.approx(value)
    assert quantity.relative is relative


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"latensy_ms": 4}, "did you mean 'latency_ms'"),
        ({"flops": 4}, "unknown limit 'flops'"),
        ({"latency": "4 GB"}, "latency: expected us.*got '4 GB'"),
        ({"latency": 4}, "with a unit, such as '4 ms'"),
        ({"latency_ms": "4 us"}, "as the key says"),
        ({"macs": "lots"}, "expected a number"),
        ({"macs": 0}, "positive"),
        ({"macs": -3}, "positive"),
        ({"macs": float("nan")}, "positive"),
        ({"macs": True}, "expected a number or a text"),
        ({"macs": None}, "expected a number or a text"),
        ({"latency": "4 ms", "latency_us": 3}, "two limits"),
        ({}, "at least one limit"),
    ],
)
def test_mistakes_show_at_construction(limits: dict[str, object], says: str) -> None:
    with pytest.raises(BudgetError, match=says):
        Budget(limits)  # type: ignore[arg-type]


def test_the_precision_is_part_of_the_budget() -> None:
    budget = Budget({"macs": 5}, precision="int8")
    assert copy.deepcopy(budget) == budget != Budget({"macs": 5})
    with pytest.raises(BudgetError, match="expected the precision fp32 or int8, got 'fp16'"):
        Budget({"macs": 5}, precision="fp16")


def test_unknown_device() -> None:
    with pytest.raises(BudgetError, match="did you mean 'host'"):
        Budget({"macs": 5}, device="hots")


def test_bounds_resolve_against_the_seed(small: Graph) -> None:
    macs, params = Budget({"macs": "2x", "params": 10_000}).bounds(small)
    assert macs.limit == 2 * macs.meter.cost(small).total
    assert (params.meter.name, params.limit) == ("params", 10_000)


def test_a_limit_below_the_seed_is_refused(small: Graph) -> None:
    with pytest.raises(BudgetError, match="macs 10 MACs is below the seed's own"):
        Budget({"macs": "10 MACs"}).bounds(small)
    with pytest.raises(BudgetError, match="below the seed's own"):
        Budget({"params": "0.5x"}).bounds(small)
    with pytest.raises(BudgetError, match="latency 1e-08 ms is below"):
        Budget({"latency_us": 0.00001}).bounds(small)


def busy() -> nn.Module:
    layers = (nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))


def wider(graph: Graph, growths: int = 2) -> list[Graph]:
    grown = [graph]
    for _ in range(growths):
        doubled = {group.name: 2 * group.width for group in grown[-1].growable}
        grown.append(grown[-1].with_widths(doubled))
    return grown[1:]


@pytest.mark.parametrize("meter", ["macs", "params", "memory", "latency"])
def test_a_slip_of_a_unit_is_asked_about_both_ways(meter: str, small: Graph) -> None:
    """A thousandth, or a thousandfold, of what would be sensible; at its word with a unit."""
    found = find_meter(meter)
    if meter == "latency":  # of a network whose widths are most of its time
        small = trace(busy().eval(), torch.zeros(1, 3, 24, 24))
    graphs = wider(small)
    meant = 1.2 * found.cost(small).total
    assert meant < found.cost(graphs[-1]).total
    unit = {"ms": "_ms", "bytes": "_bytes"}.get(found.unit, "")
    for slip in (meant / 1000, meant * 1000):
        asked = f"{meter}{unit}: .* meant\\? Write {meter}: '"
        with pytest.raises(BudgetError, match=asked) as raised:
            Budget({f"{meter}{unit}": slip}).bounds(small, graphs)
        written = str(raised.value).split("Write ")[1].split("'")[1]
        (bound,) = Budget({meter: written}).bounds(small, graphs)
        assert bound.limit == pytest.approx(meant, rel=1e-4)
    plain = f"{meant * 1000:.6f} {found.unit}"
    (bound,) = Budget({meter: plain}).bounds(small, graphs)
    assert bound.limit == pytest.approx(1000 * meant, rel=1e-4)
    with pytest.raises(BudgetError) as below:
        Budget({meter: f"{meant / 1000:.9f} {found.unit}"}).bounds(small, graphs)
    assert "below the seed's own" in str(below.value)
    assert "meant?" not in str(below.value)


def test_what_is_far_and_no_slip_is_not_asked_about(small: Graph) -> None:
    own, graphs = Budget({"macs": "1x"}).bounds(small)[0].limit, wider(small)
    top = find_meter("macs").cost(graphs[-1]).total
    for limit in (2 * top, 50 * top, 2.01 * 1000 * top):
        (bound,) = Budget({"macs": limit}).bounds(small, graphs)
        assert bound.limit == limit
    with pytest.raises(BudgetError) as raised:  # a thousand times it is still too little
        Budget({"macs": own / 2000}).bounds(small, graphs)
    assert "meant?" not in str(raised.value)
    # without knowing how far growth reaches only what is too small can be asked about
    assert Budget({"macs": 1000 * own}).bounds(small)[0].limit == 1000 * own
    with pytest.raises(BudgetError, match="meant"):
        Budget({"macs": own / 500}).bounds(small)


def test_every_limit_that_is_missed_is_told(small: Graph) -> None:
    with pytest.raises(BudgetError, match=r"macs 5 MACs is below.*; the limit params 7 params is"):
        Budget({"macs": "5 MACs", "memory": "2x", "params": "7 params"}).bounds(small)


@pytest.mark.parametrize("value", [3e-7, 0.4, 1.0, 12.5, 999.0, 1e3, 123_456.0, 2.5e6, 7e9])
def test_a_spelled_quantity_reads_back(value: float) -> None:
    load_plugins()
    for name in METERS:
        unit = str(getattr(METERS[name], "unit", name))
        found = parse(name, spelled(value, unit), unit, None)
        assert found.value == pytest.approx(value, rel=1e-5)
        assert found.literal


def test_budgets_are_values() -> None:
    budget = Budget({"macs": "2x"})
    assert copy.deepcopy(budget) == budget == Budget({"macs": "2x"}, device="host")
    with pytest.raises(TypeError):
        budget.limits["macs"] = 3  # type: ignore[index]

from __future__ import annotations

import copy

import pytest

from easearch.budget import Budget
from easearch.errors import BudgetError
from easearch.graph import Graph


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


def test_unknown_device() -> None:
    with pytest.raises(BudgetError, match="did you mean 'host'"):
        Budget({"macs": 5}, device="hots")


def test_bounds_resolve_against_the_seed(small: Graph) -> None:
    macs, params = Budget({"macs": "2x", "params": 10_000}).bounds(small)
    assert macs.limit == 2 * macs.meter.cost(small).total
    assert (params.meter.name, params.limit) == ("params", 10_000)


def test_a_limit_below_the_seed_is_refused(small: Graph) -> None:
    with pytest.raises(BudgetError, match="macs 10 MACs is below the seed's own"):
        Budget({"macs": 10}).bounds(small)
    with pytest.raises(BudgetError, match="below the seed's own"):
        Budget({"params": "0.5x"}).bounds(small)
    with pytest.raises(BudgetError, match="latency 1e-05 ms is below"):
        Budget({"latency_us": 0.01}).bounds(small)


def test_budgets_are_values() -> None:
    budget = Budget({"macs": "2x"})
    assert copy.deepcopy(budget) == budget == Budget({"macs": "2x"}, device="host")
    with pytest.raises(TypeError):
        budget.limits["macs"] = 3  # type: ignore[index]

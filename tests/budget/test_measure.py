from __future__ import annotations

import pytest
import torch
from torch import nn

from easearch.budget import METERS, find_meter, measure, this_host
from easearch.budget.meters.meter import WHOLE
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.tracing import trace


def test_a_row_a_layer_and_the_total(small: Graph) -> None:
    table = measure(small)
    assert list(table) == ["macs", "params", "memory", "latency"]
    names = [row["layer"] for row in table.rows if row["layer"] != WHOLE]
    assert names == [layer.name for layer in small.layers]
    for name, cost in table.items():
        assert sum(row[name] for row in table.rows) == pytest.approx(cost.total)
    lines = str(table).splitlines()
    assert "macs (MACs)" in lines[0]
    assert "latency (ms)" in lines[0]
    assert lines[-2].startswith("total")
    assert lines[-1].startswith("latency: expected within")
    assert len({len(line) for line in (lines[0], lines[1], lines[-2])}) == 1


def test_what_was_not_counted_is_said() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LocalResponseNorm(2), nn.Conv2d(4, 2, 1)).eval()
    table = measure(trace(model, torch.zeros(1, 3, 4, 4)), meters=["macs", "memory"])
    assert table.uncounted["macs"] == ("1",)
    assert "not counted in macs: 1" in str(table)


def test_a_module_called_twice_owns_its_parameters_once() -> None:
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer).eval()
    graph = trace(model, torch.zeros(1, 4))
    assert find_meter("params").cost(graph).total == 20
    assert find_meter("macs").cost(graph).total == 32


def test_unknown_names() -> None:
    with pytest.raises(BudgetError, match="did you mean 'memory'"):
        find_meter("memori")
    with pytest.raises(BudgetError, match="did you mean 'host'"):
        METERS["latency"]("hosts")


def test_the_host_has_a_name_fit_for_a_folder() -> None:
    key = this_host().key
    assert key == this_host().key
    assert not set(key) & set("/\\ :")
    assert len(key) < 80

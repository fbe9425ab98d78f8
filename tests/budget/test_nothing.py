"""Law: what exporters leave out of a network changes no price and stops no fusion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

import easearch as ea
from easearch.budget.latency.calibration import networks, paid
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.models import whole_model
from easearch.graph import Graph
from easearch.roles import PRECISIONS
from easearch.tracing import trace

NOTHINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": nn.Identity(),
    "dropout": nn.Dropout2d(0.5),
    "contiguous": lambda x: x.contiguous(),
    "detached": lambda x: x.detach(),
    "a copy": lambda x: x.clone(),
    "times one": lambda x: 1.0 * x,
    "over one": lambda x: x / 1,
    "plus nothing": lambda x: x + 0,
    "minus nothing": lambda x: torch.sub(x, 0.0),
    "its own shape": lambda x: x.reshape(x.shape),
    "axes in order": lambda x: x.permute(0, 1, 2, 3),
    "several": lambda x: nn.functional.dropout(x * 1, 0.5, training=False).contiguous().to(x.dtype),
}
SOMETHINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "the other way": lambda x: 0 - x,
    "one over it": lambda x: 1 / x,
    "times two": lambda x: x * 2,
    "plus one": lambda x: x + 1,
}


class Net(nn.Module):
    """A call between every two layers."""

    def __init__(self, between: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.two, self.deep = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 4)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        b = self.between or (lambda x: x)
        y = b(torch.relu(b(self.norm(b(self.one(b(x)))))))
        y = b(y + b(nn.functional.relu6(b(self.deep(b(torch.relu(b(self.two(y)))))))))
        return self.head(y.mean((2, 3)))


def graph_of(between: Callable[[Tensor], Tensor] | None) -> Graph:
    return trace(Net(between).eval(), torch.zeros(2, 3, 8, 8))


def executed(graph: Graph, precision: str) -> Counter[str]:
    nodes = onnx.load_from_string(whole_model(graph, precision=precision)).graph.node
    return Counter(node.op_type for node in nodes)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NOTHINGS)
def test_nothing_costs_nothing(name: str, precision: str) -> None:
    plain, graph = graph_of(None), graph_of(NOTHINGS[name])
    items = [[shapes_of(g, item) for item in paid(g)] for g in (plain, graph)]
    assert items[0] == items[1]
    assert executed(plain, precision) == executed(graph, precision)


@pytest.mark.parametrize("name", SOMETHINGS)
def test_what_changes_a_number_is_paid(name: str) -> None:
    assert len(paid(graph_of(SOMETHINGS[name]))) > len(paid(graph_of(None)))


@pytest.mark.parametrize("name", ["times one", "several", "its own shape", "axes in order"])
def test_exporters_leave_it_out(name: str, tmp_path: Path) -> None:
    """What is dropped here is dropped from files; a runtime may then have to fold the norm."""
    found = []
    for between in (None, NOTHINGS[name]):
        ea.export(Net(between), torch.zeros(2, 3, 8, 8), tmp_path / "m.onnx")
        nodes = onnx.load(tmp_path / "m.onnx").graph.node
        found.append(Counter(node.op_type for node in nodes))
        found[-1].pop("BatchNormalization", None)
    assert found[0] == found[1]


def test_calibration_stays_near_a_network_whose_groups_are_units() -> None:
    """A unit of a grouped convolution is several columns, so that a step is few of them."""
    model = nn.Sequential(
        nn.Conv2d(3, 24, 1), nn.Conv2d(24, 24, 3, padding=1, groups=3), nn.Conv2d(24, 8, 1)
    )
    graph = trace(model.eval(), torch.zeros(2, 3, 4, 4))
    (group,) = graph.growable
    assert group.width == 3
    nets = networks(graph, 16, 3.0)
    assert nets[0] == graph
    columns = [net.shape("1").out_channels for net in nets[1:]]
    assert set(columns) <= {16, 32, 48, 64, 80} and min(columns) == 16

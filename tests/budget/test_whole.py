"""Costs are whole: every parameter is counted, and a limit that would miss a layer is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import easearch as ea
from easearch.budget import Budget, find_meter
from easearch.budget.exported.file import OnnxFile
from easearch.cli.growable import growable
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.reparametrized import plain
from easearch.tracing import trace

STEPS, WIDTH = 5, 6


class Cell(nn.Module):
    """A convolution, a recurrent cell, and a head on its steps or on its last state."""

    def __init__(self, cell: Any, last: bool = False, **how: Any) -> None:
        super().__init__()
        directions = 2 if how.get("bidirectional") else 1
        self.conv = nn.Conv1d(STEPS, STEPS, 3, padding=1)
        self.cell = cell(WIDTH, 4, batch_first=True, **how)
        self.head = nn.Linear(4 * directions, 3)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        steps, state = self.cell(torch.tanh(self.conv(x)))
        if self.last:
            state = state[0] if isinstance(self.cell, nn.LSTM) else state
            return self.head(state.squeeze(0))
        return self.head(steps.mean(1))


class Doubled(torch.autograd.Function):
    """A function of one's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 2 * g


class Own(nn.Module):
    """A layer of one's own, with a parameter and a buffer, that no kind knows."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(WIDTH))
        self.register_buffer("table", torch.ones(7, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(Doubled.apply(x * self.gain), 1)


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = (
            nn.MultiheadAttention(WIDTH, 2, batch_first=True),
            nn.Linear(6, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x)[0].mean(1))


class Lonely(nn.Module):
    """Parameters that inference does not use, one tensor in two layers, a buffer in arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.helper = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.two.weight, self.spare = self.one.weight, nn.Parameter(torch.ones(11))
        self.register_buffer("mean", torch.ones(6))

    def forward(self, x: Tensor) -> Any:
        y = self.two(torch.relu(self.one(x - self.mean)))
        return (y, self.helper(y)) if self.training else y


class Words(nn.Module):
    """An embedding whose tokens are worked out from floating numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table((x.abs() > 1).long()).mean((1, 2)))


NETS: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: Cell(nn.GRU),
    "gru, last state": lambda: Cell(nn.GRU, last=True),
    "lstm, last state": lambda: Cell(nn.LSTM, last=True),
    "lstm of two layers, both ways": lambda: Cell(nn.LSTM, num_layers=2, bidirectional=True),
    "rnn without bias": lambda: Cell(nn.RNN, bias=False),
    "lstm with projections": lambda: nn.Sequential(nn.LSTM(WIDTH, 4, proj_size=2), First()),
    "attention": Attends,
    "encoder layer": lambda: nn.Sequential(
        nn.TransformerEncoderLayer(WIDTH, 2, 8), nn.Linear(6, 3)
    ),
    "own layer": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), Own(), nn.Linear(WIDTH, 3)),
    "own layer alone": Own,
    "lonely": lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 6), Lonely()),
    "words": Words,
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, 5)), nn.Linear(5, 3)
    ),
    "bilinear": lambda: Twice(nn.Bilinear(WIDTH, WIDTH, 4)),
}


class First(nn.Module):
    def forward(self, several: Any) -> Tensor:
        return several[0]


class Twice(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x, x))


def sample() -> Tensor:
    return torch.randn(2, STEPS, WIDTH, generator=torch.Generator().manual_seed(0))


def built(name: str) -> tuple[nn.Module, Graph, int]:
    torch.manual_seed(0)
    model = NETS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, trace(model, sample()), sum(p.numel() for p in plain(model).parameters())


@pytest.mark.parametrize("name", NETS)
def test_every_parameter_is_counted(name: str) -> None:
    _, graph, own = built(name)
    meter = find_meter("params")
    assert meter.cost(graph).total == own
    assert growable(graph).of_params == own
    with pytest.raises(BudgetError, match="below the seed's own"):
        Budget({"params": own - 1}).bounds(graph)


@pytest.mark.parametrize("name", NETS)
def test_a_limit_holds_for_all_or_is_refused(name: str) -> None:
    """A refusal names the layer; no device is asked for it."""
    _, graph, _ = built(name)
    blind = find_meter("macs").uncounted(graph)  # type: ignore[attr-defined]
    for meter in ("macs", "memory", "energy") if blind else ():
        with pytest.raises(BudgetError, match=rf"{meter}: .*'{re.escape(blind[0])}'") as refused:
            Budget({meter: "2x"}).bounds(graph)
        assert "\n" not in str(refused.value)
    assert Budget({"size": "2x"}).bounds(graph)


@pytest.mark.parametrize(("cell", "gates"), [(nn.GRU, 3), (nn.LSTM, 4), (nn.RNN, 1)])
@pytest.mark.parametrize("how", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_recurrent_cells_multiply_each_weight_once_a_step(
    cell: Any, gates: int, how: dict[str, Any]
) -> None:
    net = Cell(cell, **how)
    weights = sum(p.numel() for n, p in net.cell.named_parameters() if "weight" in n)
    cost = find_meter("macs").cost(trace(net, sample()))
    assert cost.rows["cell[0]"] == STEPS * weights
    assert gates * 4 * (WIDTH + 4) <= weights


@pytest.mark.parametrize("name", ["gru", "lstm, last state", "rnn without bias", "attention"])
def test_a_file_is_counted_as_its_network(name: str, tmp_path: Path) -> None:
    model, graph, own = built(name)
    ea.export(model, sample(), tmp_path / "m.onnx")
    file = OnnxFile(tmp_path / "m.onnx", (1, STEPS, WIDTH))
    assert file.params() == own
    assert file.macs() == find_meter("macs").cost(graph).total
    assert find_meter("size").on_file(file).value == pytest.approx(  # type: ignore[attr-defined]
        find_meter("size").cost(graph).total, abs=8
    )
    assert file.memory()[0]


def test_every_stored_parameter_of_a_file_is_counted(tmp_path: Path) -> None:
    """Slopes, norms with scales and without, a statistic, a mask, a scale of one number."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv1d(STEPS, 8, 3),
                nn.InstanceNorm1d(8, affine=True),
                nn.PReLU(8),
                nn.InstanceNorm1d(8),
                nn.PReLU(),
                nn.BatchNorm1d(8),
                nn.GroupNorm(2, 8),
            )
            self.scale = nn.Parameter(torch.ones(()))
            self.register_buffer("mask", torch.rand(8, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x) * self.scale + self.mask

    torch.manual_seed(0)
    model = Net().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ea.export(model, sample(), tmp_path / "m.onnx")
    own = sum(p.numel() for p in model.parameters())
    assert OnnxFile(tmp_path / "m.onnx").params() == own
    assert find_meter("params").cost(trace(model, sample())).total == own


def test_what_inference_does_not_use_is_said() -> None:
    _, graph, _ = built("lonely")
    assert dict(graph.unused) == {"2.spare": 11}
    cost = find_meter("params").cost(graph)
    assert "25 are not used" in cost.note and "2.spare, 2.helper" in cost.note
    assert find_meter("size").cost(graph).total == 4 * (cost.total - 25 + 6)  # and the buffer

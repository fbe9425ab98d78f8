"""Costs are those of one sample, whatever a network puts into the first axis: frames, windows,
rows, words; sequences first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_families import every_value
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import easearch as ea
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.models import whole_model
from easearch.budget.latency.rows import item_key
from easearch.graph import Graph
from easearch.tracing import trace

MAPS, VIDEO, WORDS = (3, 8, 8), (4, 3, 6, 6), (5, 7, 6)


class Rows(nn.Module):
    """Linear layers over all positions of all samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.rows = nn.Sequential(nn.Linear(8, 12), nn.LayerNorm(12), nn.GELU(), nn.Linear(12, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        return self.head(self.rows(x.reshape(-1, 8)).view(x.shape).mean((1, 2)))


class Frames(nn.Module):
    """Convolutions over every frame, then one over time."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.PReLU(8)),
            *(nn.Conv2d(8, 8, 3, 2, 1, groups=2), nn.ChannelShuffle(2), nn.BatchNorm2d(8)),
            *(nn.Conv2d(8, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.time, self.head = nn.Conv1d(6, 7, 3, padding=1), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.frames(x.flatten(0, 1)).unflatten(0, (-1, x.shape[1]))
        return self.head(torch.relu(self.time(y.transpose(1, 2))).mean(2))


class StepsFirst(nn.Module):
    """Sequences with the steps first, as recurrent cells and attention take them by default."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.embed, self.inner = nn.Linear(6, 8), inner
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.embed(x)).transpose(0, 1)
        if isinstance(self.inner, nn.MultiheadAttention):
            x = self.inner(x, x, x)[0]
        elif self.inner is not None:
            x = self.inner(x)[0]
        return self.head(torch.relu(self.mix(x)).mean(0))


class Words(nn.Module):
    """A cell, or attention, over the letters of every word."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.mix, self.head = inner, nn.Linear(6, 9), nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, words, letters, width = x.shape
        x = x.reshape(n * words, letters, width)
        y = self.inner(x, x, x) if isinstance(self.inner, nn.MultiheadAttention) else self.inner(x)
        return self.head(torch.relu(self.mix(y[0][:, -1].view(n, words, -1).mean(1))))


class Windows(nn.Module):
    """Attention of one's own within windows of 4 by 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.qkv, self.head = nn.Conv2d(3, 8, 1), nn.Linear(8, 24), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 3, 5, 1)
        q, k, v = self.qkv(x.reshape(-1, 16, 8)).chunk(3, -1)
        x = torch.softmax(q @ k.transpose(1, 2) * 0.3, -1) @ v
        return self.head(x.view(-1, 64, 8).mean(1))


class Chunks(nn.Module):
    """Four samples at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.relu(self.a(x)).split(4, 0)
        return torch.cat([self.head(torch.relu(self.b(part))) for part in parts])


class Pairs(Chunks):
    """Every sample beside every other: what a sample costs that comes alone."""

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        pairs = h.unsqueeze(0).expand(x.shape[0], -1, -1) - h.unsqueeze(1)
        return self.head(torch.relu(self.b(pairs)).mean(1))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "rows": (Rows, MAPS),
    "frames": (Frames, VIDEO),
    "steps first": (StepsFirst, WORDS[1:]),
    "steps first, attention": (lambda: StepsFirst(nn.MultiheadAttention(8, 2)), WORDS[1:]),
    "steps first, gru": (lambda: StepsFirst(nn.GRU(8, 8)), WORDS[1:]),
    "words, lstm": (lambda: Words(nn.LSTM(6, 6, batch_first=True)), WORDS),
    "words, attention": (lambda: Words(nn.MultiheadAttention(6, 2, batch_first=True)), WORDS),
    "windows": (Windows, MAPS),
}


def built(name: str, samples: int = 2) -> tuple[nn.Module, Graph, Tensor]:
    torch.manual_seed(0)
    make, size = NETS[name]
    model, sample = make().eval(), torch.randn(samples, *size)
    return model, trace(model, sample), sample


def macs(graph: Graph) -> float:
    return ea.measure(graph, ["macs"])["macs"].total


@pytest.mark.parametrize(
    "name", [name for name in NETS if "gru" not in name and "lstm" not in name]
)
def test_work_is_what_torch_counts(name: str) -> None:
    model, graph, sample = built(name)
    counter = FlopCounterMode(display=False)
    with counter:
        model(sample)
    assert macs(graph) == counter.get_total_flops() / 2 / len(sample)


@pytest.mark.parametrize("name", NETS)
def test_a_file_is_counted_as_its_network(name: str, tmp_path: Path) -> None:
    model, graph, sample = built(name)
    ea.export(model, sample, tmp_path / "m.onnx")
    assert OnnxFile(tmp_path / "m.onnx", (1, *sample.shape[1:])).macs() == macs(graph)


@pytest.mark.parametrize("name", NETS)
def test_a_sample_costs_as_much_in_any_batch(name: str) -> None:
    graphs = [built(name, samples)[1] for samples in (1, 2, 7)]
    costs = [ea.measure(graph, ["macs", "params", "memory", "size"]) for graph in graphs]
    assert len({tuple((k, cost.total) for k, cost in one.items()) for one in costs}) == 1
    assert graphs[0].layers == graphs[1].layers == graphs[2].layers


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_timed_at_the_size_that_it_has(name: str) -> None:
    _, graph, _ = built(name)
    values = every_value(whole_model(graph))
    for layer in graph.layers:
        made = [n for n in values if n.rpartition("/")[0] == layer.name]
        if made:
            last = max(made, key=lambda name: float(name.rpartition("/")[2]))
            assert values[last].shape == graph.shape(layer.name).out_shape, layer.name


def test_a_table_tells_a_layer_from_the_same_over_more_rows() -> None:
    shapes = [
        graph.shape(layer.name)
        for graph in (
            trace(nn.Sequential(nn.Linear(6, 5), nn.ReLU()), torch.zeros(2, 6)),
            trace(
                nn.Sequential(nn.Flatten(0, 1), nn.Linear(6, 5), nn.ReLU()), torch.zeros(2, 4, 6)
            ),
        )
        for layer in graph.layers
        if layer.kind == "linear"
    ]
    assert len({item_key((shape,)) for shape in shapes}) == 2


@pytest.mark.parametrize("kind", [Chunks, Pairs])
@pytest.mark.parametrize("samples", [1, 2, 4, 8])
def test_samples_that_meet_each_other_cost_what_one_does_alone(
    kind: type[Chunks], samples: int
) -> None:
    model = kind().eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 6))
    assert macs(trace(model, torch.zeros(samples, 6))) == counter.get_total_flops() / 2

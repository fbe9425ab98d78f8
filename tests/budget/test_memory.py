from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.models import whole_model
from easearch.budget.meters.memory import Memory, owners
from easearch.graph import Graph
from easearch.tracing import trace
from easearch.tracing.training_only import evaluated


class Random(nn.Module):
    """A random program of convolutions, activations, norms and additions of any earlier values."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        self.first = nn.Conv2d(3, 4, 1)
        self.layers = nn.ModuleList()
        self.plan: list[tuple[int | None, ...]] = []
        for number in range(10):
            kind = draw.choice(["conv", "act", "norm", "drop"] + ["add"] * (number > 0))
            made = {"conv": nn.Conv2d(4, 4, 1), "act": nn.ReLU(), "norm": nn.BatchNorm2d(4)}
            self.layers.append(made.get(kind, nn.Dropout(0.1)))
            one, *other = draw.sample(range(number + 1), 2 if kind == "add" else 1)
            self.plan.append((one, *other, None)[:2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = [self.first(x)]
        for layer, (one, other) in zip(self.layers, self.plan, strict=True):
            values.append(layer(values[one]) if other is None else values[one] + values[other])
        return values[-1]


def brute_force(graph: Graph) -> float:
    """Execute step by step: a storage is freed when nothing to come reads any value in it."""
    owner, names = owners(graph), [layer.name for layer in graph.layers]
    size = {
        layer.name: 4 * graph.channels(layer.writes) * graph.shape(layer.name).positions
        for layer in graph.layers
    }
    peak, held = 0.0, set()
    for now, layer in enumerate(graph.layers):
        held.add(owner[layer.name])
        peak = max(peak, sum(size[name] for name in held))
        to_come = {source for later in graph.layers[now + 1 :] for source in later.inputs}
        results = {name for name in names[: now + 1] if not graph.consumers[name]}
        held = {
            name
            for name in held
            if any(owner[v] == name and (v in to_come or v in results) for v in names[: now + 1])
        }
    return peak


@pytest.mark.parametrize("seed", range(12))
def test_peak_equals_brute_force(seed: int, tmp_path: Path) -> None:
    graph = trace(Random(seed).eval(), torch.zeros(1, 3, 5, 5))
    peak = Memory().cost(graph).total
    assert peak == brute_force(evaluated(graph))
    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(graph))
    assert OnnxFile(path).memory() == (peak, "")


def test_by_hand(small: Graph) -> None:
    # The stem's map stays for the addition while the depthwise makes its own, and the sum a third.
    stream = 4 * 8 * 4 * 4
    assert Memory().cost(small).total == max(4 * 3 * 64 + stream, 3 * stream)


def test_in_place_never_over_a_value_still_read() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return y + torch.relu(y)

    graph = trace(Net().eval(), torch.zeros(1, 3, 5, 5))
    assert owners(graph)["relu"] == "relu"
    assert Memory().cost(graph).total == 3 * 4 * 4 * 25

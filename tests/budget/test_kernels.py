from __future__ import annotations

import torch
from torch import nn

from easearch.budget import kernels
from easearch.graph import Graph
from easearch.tracing import trace


class Forked(nn.Module):
    """The first activation reads a value that the addition reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()
        self.last = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return self.last(x + self.act(x))


def test_a_convolution_takes_in_norm_and_activation(small: Graph) -> None:
    assert kernels(small) == [
        ("x",),
        ("stem.0", "stem.1", "stem.2"),
        ("deep.0", "deep.1"),
        ("add",),
        ("mean",),
        ("head",),
    ]


def test_a_value_with_two_readers_ends_the_item() -> None:
    graph = trace(Forked().eval(), torch.zeros(1, 3, 4, 4))
    assert kernels(graph) == [
        ("x",),
        ("conv", "norm"),
        ("act",),
        ("add",),
        ("last.0",),
        ("last.1",),
    ]


def test_norm_behind_activation_is_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.ReLU())
    graph = trace(model.eval(), torch.zeros(1, 3))
    assert kernels(graph) == [("input",), ("0", "1"), ("2",), ("3",)]


def test_every_layer_is_in_one_item(small: Graph) -> None:
    names = [name for item in kernels(small) for name in item]
    assert sorted(names) == sorted(layer.name for layer in small.layers)

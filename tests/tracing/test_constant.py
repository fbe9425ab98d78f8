"""What is made without the network's inputs: priced once, and its sizes hold what it meets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import easearch as ea
from easearch.tracing import KINDS


class Tokens(nn.Module):
    """A learnt token for every sample, a learnt table of places, a ramp of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, 6)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.places = nn.Linear(2, 6)
        self.register_buffer("grid", torch.randn(4, 2))
        self.free = nn.Linear(6, 7)
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places(self.grid)
        x = torch.tanh(self.free(x)) * torch.arange(1, 8)
        return self.head(x.mean(1))


def test_constants_hold_what_they_meet() -> None:
    model, sample = Tokens().double(), torch.randn(2, 3, 5, dtype=torch.float64)
    graph = ea.trace(model, sample)
    kinds = {layer.name: layer.kind for layer in graph.layers}
    assert kinds["expand"] == kinds["places"] == "constant"
    assert "opaque" not in kinds.values()
    assert "expand" in (graph.groups["embed"].frozen or "")
    assert "which has its size for good" in (graph.groups["free"].frozen or "")
    assert graph.growable == ()


def test_their_parameters_are_counted_once() -> None:
    model, sample = Tokens(), torch.randn(2, 3, 5)
    graph = ea.trace(model, sample)
    counted = sum(
        KINDS[layer.kind].params(graph.shape(layer.name))
        for layer in graph.layers
        if layer.kind in KINDS
    )
    assert counted == sum(p.numel() for p in model.parameters())

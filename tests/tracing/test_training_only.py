"""Heads that run in training only: what they read stays as it is, so that training goes on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import easearch as ea


class Helped(nn.Module):
    """A second head on the middle of the network, in training; `peeks` looks at numbers there."""

    def __init__(self, peeks: bool = False) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU())
        self.two = nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.SiLU())
        self.head, self.helper = nn.Linear(5, 3), nn.Linear(4, 3)
        self.peeks = peeks

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.one(x)
        helped = x
        x = self.head(self.two(x).mean((2, 3)))
        if self.training:
            if self.peeks and helped.sum() > 0:
                helped = -helped
            return x, self.helper(helped.mean((2, 3)))
        return x


def test_what_training_reads_is_frozen_and_training_goes_on() -> None:
    model, sample = Helped().double().train(), torch.randn(2, 2, 8, 8, dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    graph = ea.trace(model, sample)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [group.name for group in graph.growable] == ["two.0"]
    assert "runs in training only" in (graph.groups["one.0"].frozen or "")
    assert "helper" not in graph.by_name
    moves = [ea.Split(group="two.0", channel=1), ea.NewNeuron(group="two.0")]
    wider = ea.apply(model, graph, moves)
    assert ea.trace(wider, sample) == graph.after(moves)
    for one, other in zip(wider(sample), model(sample), strict=True):
        assert torch.allclose(one, other)


def test_a_training_pass_that_cannot_be_traced_holds_everything() -> None:
    graph = ea.trace(Helped(peeks=True), torch.randn(2, 2, 8, 8))
    assert graph.growable == ()
    assert "training pass cannot be traced" in (graph.groups["two.0"].frozen or "")


@pytest.mark.parametrize("unused", [True, False])
def test_a_parameter_that_nobody_uses_holds_nothing(unused: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 3))
    if unused:
        model.register_parameter("lonely", nn.Parameter(torch.ones(3)))
    graph = ea.trace(model, torch.randn(2, 4))
    assert [group.name for group in graph.growable] == ["0"]

"""Heads that run in training only: they grow with what they read, so that training goes on."""

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


def test_what_training_reads_grows_and_training_goes_on() -> None:
    model, sample = Helped().double().train(), torch.randn(2, 2, 8, 8, dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    graph = ea.trace(model, sample)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [group.name for group in graph.growable] == ["one.0", "two.0"]
    assert graph.by_name["helper"].kind == "unused"
    assert "evaluation does not use" in (graph.groups["helper"].frozen or "")
    moves = [ea.Split(group=g, channel=1, shares=(1.5, -0.5)) for g in ("one.0", "two.0")]
    moves += [ea.NewNeuron(group="one.0")]
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


class Called(nn.Module):
    """A head that runs in every mode, and whose result only training gives."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)
        self.aux = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        f = torch.tanh(self.a(x))
        out, extra = self.head(torch.tanh(self.b(f))), self.aux(f)
        return (out, extra) if self.training else out


def test_a_head_whose_result_evaluation_does_not_use_costs_nothing_and_grows() -> None:
    model, x = Called().double(), torch.randn(4, 6, dtype=torch.float64)
    graph = ea.trace(model, x)
    assert graph.by_name["aux"].kind == "unused"
    assert [group.name for group in graph.growable] == ["a", "b"]
    costs = ea.measure(graph, meters=["macs"])
    assert costs["macs"].total == 6 * 8 + 8 * 7 + 7 * 4
    batches = [(x, torch.arange(4))]
    found = ea.score(model.eval(), graph, batches, "births", loss=nn.functional.cross_entropy)
    assert {candidate.move.group for candidate in found} == {"a", "b"}
    moves = [ea.Split(group="a", channel=c) for c in (0, 5)]
    wider = ea.apply(model.train(), graph, moves)
    for one, other in zip(wider(x), model(x), strict=True):
        assert torch.allclose(one, other)
    assert wider.aux.in_features == 10
    assert ea.trace(wider, x) == graph.after(moves)

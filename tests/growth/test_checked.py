"""The check of a graph: what tracing does not follow is found and frozen, and nothing else."""

from __future__ import annotations

import pytest
import torch
from random_habits import HABITS, habit
from torch import Tensor, nn

import easearch as ea
from easearch.growth.checked import BROKEN


class Net(nn.Module):
    """A step with a habit between two convolutions."""

    def __init__(self, name: str, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 1)
        self.step, channels = habit(name, 6, out)
        self.last = nn.Conv2d(channels, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.step(torch.tanh(self.first(x)))))


@pytest.mark.parametrize("out", [4, 5, 6, 7])
@pytest.mark.parametrize("name", HABITS)
def test_a_habit_is_followed_or_frozen(name: str, out: int) -> None:
    torch.manual_seed(0)
    model, x = Net(name, out).double(), torch.randn(2, 3, 6, 6, dtype=torch.float64)
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    graph = ea.trace(model, x)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(kept[key], value) for key, value in model.state_dict().items())
    assert all(group.frozen is None or group.frozen.strip() for group in graph.channel_groups)
    moves = [ea.Split(group=g.name, channel=0, shares=(1.5, -0.5)) for g in graph.growable]
    wider = ea.apply(model, graph, moves)
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)
    assert ea.trace(wider, x) == graph.after(moves)


def test_only_what_breaks_is_frozen_by_the_check() -> None:
    model, x = Net("temperature", 4).double(), torch.randn(2, 3, 6, 6, dtype=torch.float64)
    unchecked = ea.trace(model, x, check=False)
    assert "step.one" in [group.name for group in unchecked.growable]
    graph = ea.trace(model, x)
    assert graph.groups["step.one"].frozen == BROKEN
    assert [group.name for group in graph.growable] == ["first", "step.two"]

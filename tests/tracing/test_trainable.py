"""What the user has frozen does not grow: parameters with requires_grad=False."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import easearch as ea
from easearch.errors import GraphError, ScoringError

X = torch.randn(4, 3, 6, 6, dtype=torch.float64)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 6, 3), nn.PReLU(6), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
    ).double()


@pytest.mark.parametrize(
    "path, groups",
    [
        ("0.weight", {"0"}),
        ("0.bias", {"0"}),
        ("1.weight", {"0"}),
        ("3.weight", {"0", "3"}),
        ("3.bias", {"3"}),
        ("4.weight", {"3"}),
        ("7.weight", {"3", "7"}),
        ("9.weight", {"7"}),
        ("9.bias", set()),
    ],
)
def test_a_frozen_parameter_freezes_what_would_change_it(path: str, groups: set[str]) -> None:
    model = net()
    model.get_parameter(path).requires_grad_(False)
    graph = ea.trace(model, X)
    reason = f"'{path}' has requires_grad=False"
    assert {g.name for g in graph.channel_groups if g.frozen == reason} == groups
    assert {g.name for g in graph.growable} == {"0", "3", "7"} - groups
    assert (reason in str(graph)) == bool(groups)
    for name in groups:
        with pytest.raises(GraphError, match="requires_grad=False"):
            ea.apply(model, graph, [ea.Split(group=name, channel=0)])
    moves = [ea.Split(group=g.name, channel=0) for g in graph.growable]
    wide = ea.apply(model, graph, moves)
    assert ea.trace(wide, X) == graph.after(moves)
    assert not wide.get_parameter(path).requires_grad


def test_a_frozen_backbone_with_a_trainable_head() -> None:
    model = net()
    model[:7].requires_grad_(False)
    assert [g.name for g in ea.trace(model, X).growable] == ["7"]


def test_buffers_do_not_count() -> None:
    assert [g.name for g in ea.trace(net(), X).growable] == ["0", "3", "7"]


def test_nothing_to_train_is_said() -> None:
    model = net().requires_grad_(False)
    graph = ea.trace(model, X)
    assert not graph.growable
    with pytest.raises(ScoringError, match="nothing can grow: all parameters"):
        ea.score(model, graph, [(X, torch.tensor([0, 1, 0, 1]))])

"""What slicing takes away: channels by the scale of their norms, or by their rows."""

from __future__ import annotations

import pytest
import torch
from networks import NETWORKS
from subjects import subject
from torch import nn

import easearch as ea
from easearch.errors import GraphError
from easearch.growth.channel_pruning import removals, worth
from easearch.models import build

SAMPLE = torch.zeros(1, 1, 28, 28)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_channels_with_small_scales_go(name: str) -> None:
    """Every norm of a group has a say: of several writers on one stream, of a depthwise part."""
    model = build(name, stem_channels=16, layout=[[16, 2, 1], [24, 2, 2]], stem_stride=2)
    graph = ea.trace(model, SAMPLE)
    modules = dict(model.named_modules())
    weak = {}
    for number, group in enumerate(graph.growable):
        gone = [number % 3, 5, group.width - 2]
        norms = [modules[n] for n in group.followers if isinstance(modules.get(n), nn.BatchNorm2d)]
        assert norms
        for norm in norms:
            norm.weight.data.uniform_(0.5, 1.0)
            norm.weight.data[gone] = -0.1
        weak[group.name] = tuple(gone)
    widths = {group.name: group.width - 3 for group in graph.growable}
    cut = removals(model, graph, widths)
    assert {move.group: move.channels for move in cut} == weak
    assert graph.after(cut).widths == {**graph.widths, **widths}


def test_a_norm_with_large_scales_does_not_speak_for_all() -> None:
    model = build("mobilenet_v1", stem_channels=8, layout=[[8, 1, 1]])
    graph = ea.trace(model, SAMPLE)
    group, modules = graph.growable[0], dict(model.named_modules())
    first, second = (m for n in group.followers if isinstance(m := modules.get(n), nn.BatchNorm2d))
    first.weight.data.fill_(1000.0)
    first.weight.data[2] = 900.0
    second.weight.data.fill_(1.0)
    second.weight.data[6] = 0.1
    assert int(worth(model, graph, group).argmin()) == 6


def test_without_norms_rows_are_weighed() -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 676, 10))
    graph = ea.trace(model, SAMPLE)
    model[0].weight.data[4] *= 0.01
    group = graph.growable[0]
    rows = model[0].weight.detach().flatten(1).norm(dim=1)
    torch.testing.assert_close(worth(model, graph, group), rows / rows.mean())
    assert [move.channels for move in removals(model, graph, {group.name: 5})] == [(4,)]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_weighs_every_group_that_can_change(name: str) -> None:
    """And what it cuts is cut: the graph says so, and the model runs."""
    model, x, graph = subject(name)
    for group in graph.growable:
        found = worth(model, graph, group)
        assert found.shape == (group.width,)
        assert bool(found.isfinite().all()) and bool((found >= 0).all())
    cut = removals(model, graph, {group.name: group.width - 1 for group in graph.growable})
    narrow = ea.apply(model, graph, cut)
    assert ea.trace(narrow, x) == graph.after(cut)
    assert narrow(x).isfinite().all()


def test_a_group_that_nothing_weighs_is_told_of() -> None:
    model = build("mobilenet_v1", stem_channels=8, layout=[[8, 1, 1]])
    graph = ea.trace(model, SAMPLE)
    empty = ea.ChannelGroup(name="ghost", width=4, writers=(), followers=(), readers=())
    with pytest.raises(GraphError, match="not be cut back"):
        worth(model, graph, empty)

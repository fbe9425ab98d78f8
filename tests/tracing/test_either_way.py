"""torch.fx and torch.export see the same network: the graphs are the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import FAMILIES, inputs, settled
from torch import fx, nn

import easearch as ea
from easearch.tracing.flat import Flat

FEWER = {
    # torch.export knows sizes as numbers only, so that a reshape names them.
    *("shufflenet_v2", "clean_shuffle", "dgcnn", "dgcnn_dynamic", "dgcnn_arange"),
    # It leaves stochastic depth, checks and constants out, and takes attention apart.
    *("efficientnet", "efficientnet_v2", "convnext", "swin", "swin_v2", "maxvit", "vit", "mixer"),
    *("attention", "attention_sdpa", "attention_qkv", "mha"),
}
"""Families of which export may see fewer groups that grow, never others."""


def by_export(model: nn.Module, sample: torch.Tensor, patch: pytest.MonkeyPatch) -> ea.Graph:
    def refuse(flat: Flat, *_: Any) -> fx.GraphModule:
        raise RuntimeError("not by torch.fx")

    with patch.context() as here:
        here.setattr(Flat, "symbolic", refuse)
        return ea.trace(model, sample)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_groups_either_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sample = settled(FAMILIES[name]), inputs(FAMILIES[name])
    graph = ea.trace(model, sample)
    other = by_export(model, sample, monkeypatch)
    if name in FEWER:
        assert {g.name: g.width for g in other.growable}.items() <= {
            g.name: g.width for g in graph.growable
        }.items()
        return
    assert [g.name for g in other.growable] == [g.name for g in graph.growable]
    for group in graph.channel_groups:
        there = other.groups[group.name]
        assert (there.width, there.writers, there.readers) == (
            group.width,
            group.writers,
            group.readers,
        )
        assert (there.frozen is None) == (group.frozen is None)


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - FEWER))
def test_what_was_exported_grows_silently(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sample = settled(FAMILIES[name]), inputs(FAMILIES[name])
    graph = by_export(model, sample, monkeypatch)
    moves: list[ea.Move] = [
        ea.Split(group=group.name, channel=group.width - 1) for group in graph.growable
    ]
    moves += [ea.NewNeuron(group=group.name) for group in graph.growable]
    wider = ea.apply(model, graph, moves)
    assert by_export(wider, sample, monkeypatch) == graph.after(moves)
    with torch.no_grad():
        assert torch.allclose(wider(sample), model(sample), rtol=1e-9, atol=1e-9)

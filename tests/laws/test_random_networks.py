"""square and silence over networks and plans drawn at random (hypothesis).

`EASEARCH_RANDOM_NETWORKS=1000 pytest tests/laws/test_random_networks.py` tries as many.
"""

from __future__ import annotations

import os

import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from random_networks import images, networks
from torch import nn

import easearch as ea

SHARES = ((0.5, 0.5), (1.5, -0.5), (0.25, 0.5, 0.25), (1.0, 1.0, -0.5, -0.5))
EXAMPLES = int(os.environ.get("EASEARCH_RANDOM_NETWORKS", "200"))


@st.composite
def plans(draw: st.DrawFn, graph: ea.Graph) -> list[ea.Move]:
    """Silent moves: splits into two to four, signed or not, and neurons at birth."""
    moves: list[ea.Move] = []
    for group in graph.growable:
        channels = draw(st.sets(st.integers(0, group.width - 1), max_size=min(3, group.width)))
        for channel in sorted(channels):
            shares = draw(st.sampled_from(SHARES))
            moves.append(ea.Split(group=group.name, channel=channel, shares=shares))
        moves += [ea.NewNeuron(group=group.name)] * draw(st.integers(0, 1))
    return draw(st.permutations(moves))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(model=networks(), data=st.data())
def test_square_and_silence(model: nn.Module, data: st.DataObject) -> None:
    graph = ea.trace(model, images())
    event(f"{len(graph.growable)} groups grow")
    moves = data.draw(plans(graph))
    wider = ea.apply(model, graph, moves)
    assert ea.trace(wider, images()) == graph.after(moves)
    for training in (False, True):
        model.train(training)
        wider.train(training)
        with torch.no_grad():
            expected, got = model(images(4)), wider(images(4))
        assert torch.allclose(got, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))

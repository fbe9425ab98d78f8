"""Net2Net: equal shares, noise on the copies alone, the function kept."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from networks import NETWORKS, sample, trained

import easearch as ea
from easearch.scoring.net2net import Net2Net


@pytest.mark.parametrize("name", NETWORKS)
def test_copies_without_noise_keep_the_function(name: str) -> None:
    model, x = trained(name), sample()
    graph = ea.trace(model, x)
    found = Net2Net(noise=0).score(model, graph, [], None)
    wider = ea.apply(model, graph, [c.move for c in found])
    assert torch.allclose(wider(x), model(x), atol=1e-10)
    for group in graph.growable:
        added = sum(c.move.added for c in found if c.move.group == group.name)
        assert added == group.width


def test_shares_and_noise_are_as_published() -> None:
    """1/m each; the original stays where it is, every copy goes a way of its own."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    found = Net2Net(count=20).score(model, graph, [], None)
    copies = Counter(c.move.added for c in found)
    assert max(copies) > 1
    for one in found:
        number = one.move.added + 1
        assert one.move.shares == (1 / number,) * number
        first, *others = one.move.offsets
        assert not first
        ways = torch.stack([torch.cat([t.flatten() for t in o.values()]) for o in others])
        assert torch.linalg.matrix_rank(ways) == len(others)
        assert 0 < one.gain < 1e-3 * one.move.added


def test_order_is_chance_and_the_seeds() -> None:
    model = trained("tied")
    graph = ea.trace(model, sample())

    def order(seed: int) -> list:
        found = Net2Net(seed=seed).score(model, graph, [], None)
        return [(c.move.group, c.move.channel, c.gain) for c in found]

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize("options", [{"noise": -1}, {"count": 0}])
def test_bad_options(options: dict) -> None:
    with pytest.raises(ea.errors.ScoringError, match="expected"):
        Net2Net(**options)

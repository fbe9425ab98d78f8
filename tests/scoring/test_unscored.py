"""Newborns without a score: silent, of every group, drawn anew for other widths."""

from __future__ import annotations

import pytest
import torch
from networks import NETWORKS, sample, trained

import easearch as ea
from easearch.errors import ScoringError
from easearch.moves import NewNeuron, Split
from easearch.roles import Range
from easearch.scoring.unscored import LESS, Unscored
from easearch.selection import selector


def nothing(outputs: object, targets: object) -> torch.Tensor:
    raise AssertionError("a loss was asked for")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_no_output_changes_and_no_batch_is_looked_at(name: str) -> None:
    model = trained(name)
    graph = ea.trace(model, sample())
    found = Unscored().score(model, graph, [], nothing)
    moves = [one.move for one in found if isinstance(one.move, NewNeuron)]
    assert len(moves) == len(found) and {one.gain for one in found} == {LESS}
    for group in graph.growable:
        own = [move for move in moves if move.group == group.name]
        assert len(own) == group.width
        assert any(float(row.abs().sum()) > 0 for row in own[0].into.values())
    wider = ea.apply(model, graph, moves)
    x = sample(4)
    torch.testing.assert_close(wider(x), model(x), rtol=1e-10, atol=1e-10)


def test_rows_are_drawn_anew_for_other_widths_and_seeds() -> None:
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    group = graph.growable[0]
    wide = ea.apply(model, graph, [Split(group=group.name, channel=0)])
    wider = ea.trace(wide, sample())

    def rows(one: torch.nn.Module, at: ea.Graph, seed: int = 0) -> torch.Tensor:
        (first,) = (c.move for c in Unscored(count=1, seed=seed).score(one, at, [], nothing)[:1])
        return torch.cat([t.flatten() for t in first.into.values()])

    known = rows(model, graph)
    assert torch.equal(known, rows(model, graph))
    assert not torch.equal(known, rows(model, graph, 1))
    assert not torch.equal(known, rows(wide, wider))


def test_a_count_of_none_is_refused() -> None:
    with pytest.raises(ScoringError, match="expected a count of 1 newborn"):
        Unscored(count=0)


@pytest.mark.parametrize("name", ["exact", "duals", "greedy"])
def test_floors_say_how_many_come_in(name: str) -> None:
    """And not what room the limits leave."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    found = Unscored().score(model, graph, [], nothing)
    (bound,) = ea.Budget({"macs": "6x"}).bounds(graph)
    floors = {
        one.name: one.width + (4 if number % 2 else 0) for number, one in enumerate(graph.growable)
    }
    ranges = {name: Range(low=low, firm=False) for name, low in floors.items()}
    plan = selector(name).select(found, graph, [bound], 4, ranges)
    assert {one: plan.widths[one] for one in floors} == floors

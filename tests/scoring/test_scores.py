"""Scores are a list, best first; the state in which a model is scored leaves no trace."""

from __future__ import annotations

import pytest
from torch import nn

from easearch.moves import Candidate, Split
from easearch.scoring.scores import Scores, scoring_state


def candidate(channel: int, gain: float) -> Candidate:
    return Candidate(move=Split(group="a", channel=channel), gain=gain)


def test_candidates_come_best_first_and_ties_in_their_order() -> None:
    given = [candidate(0, 1.0), candidate(1, 3.0), candidate(2, 1.0), candidate(3, -1.0)]
    scores = Scores(iter(given), images=7, held_out=0.5)
    assert [c.move.channels for c in scores] == [(1,), (0,), (2,), (3,)]
    assert (scores.images, scores.held_out) == (7, 0.5)
    assert isinstance(scores, list)
    assert Scores([]).held_out is None


def net() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()
    )
    model.train()
    model[2].eval()
    return model


@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_places_come_back(fails: bool) -> None:
    model = net()
    modes = [module.training for module in model.modules()]
    try:
        with scoring_state(model):
            assert not any(module.training for module in model.modules())
            assert not model[1].inplace
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert [module.training for module in model.modules()] == modes
    assert model[1].inplace
    assert not model[3].inplace

"""The placebo has the criterion's moves and its gains, and neither knows the other."""

from __future__ import annotations

import torch
from networks import batches, sample, trained
from scipy.stats import spearmanr

import easearch as ea
from easearch.scoring import Shuffled, Splitting
from easearch.scoring.shuffled import dealt


def test_the_same_moves_and_the_same_gains_dealt_out_anew() -> None:
    model = trained("mobilenet_v2")
    graph = ea.trace(model, sample())
    how = Splitting(crossfit=False)
    real = ea.score(model, graph, batches(), how)
    dealt = ea.score(model, graph, batches(), Shuffled(of=how))

    def by_channel(found: list[ea.Candidate]) -> dict[tuple[str, int], float]:
        return {(c.move.group, c.move.channel): c.gain for c in found}

    one, other = by_channel(real), by_channel(dealt)
    assert sorted(one.values()) == sorted(other.values())
    assert one.keys() == other.keys()
    assert abs(spearmanr([one[k] for k in one], [other[k] for k in one]).statistic) < 0.5
    moved = {(c.move.group, c.move.channel): c.move for c in real}
    for candidate in dealt:
        same = moved[candidate.move.group, candidate.move.channel]
        for offset, kept in zip(candidate.move.offsets, same.offsets, strict=True):
            assert all(bool((offset[key] == kept[key]).all()) for key in offset)
    again = ea.score(model, graph, batches(), Shuffled(of=how, seed=1))
    assert by_channel(again) != other
    assert (dealt.images, dealt.held_out) == (real.images, real.held_out)  # type: ignore


def test_worths_are_dealt_out_among_the_channels_of_all_groups() -> None:
    worths = {"a": torch.arange(5.0), "b": torch.arange(5.0, 12.0)}
    one, again, other = (dealt(worths, seed) for seed in (0, 0, 1))
    assert {name: len(found) for name, found in one.items()} == {"a": 5, "b": 7}
    for found in (one, other):
        assert sorted(torch.cat(list(found.values())).tolist()) == list(range(12))
        assert max(found["a"]) > 4  # not within groups alone
    assert all(torch.equal(one[name], again[name]) for name in worths)
    assert any(not torch.equal(one[name], other[name]) for name in worths)

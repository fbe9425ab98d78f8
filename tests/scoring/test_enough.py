""" "auto" takes more samples until the gains are stable or the data ends, and says what it took."""

from __future__ import annotations

import pytest
import torch
from networks import batches, sample, trained

import easearch as ea
from easearch.checks.batches import samples_in
from easearch.errors import ScoringError
from easearch.scoring import CRITERIA, AdaptiveSampleSize, Splitting
from easearch.scoring import sample_size as module
from easearch.scoring.samples.batches import First
from easearch.scoring.scores import STABLE_GAIN, STABLE_RANK, Scores


def scores(model: torch.nn.Module, number: int | str, size: int = 40, **options: object) -> Scores:
    data = batches(size, 32)
    graph = ea.trace(model, sample())
    return ea.score(model, graph, data, images=number, **options)  # type: ignore


def test_so_many_and_no_more() -> None:
    model = trained("plain")
    for number in (64, 70, 96):
        assert scores(model, number).images == number
    assert scores(model, 10_000, size=5).images == 160  # the data ends
    first = [c.gain for c in scores(model, 64)]
    assert first == [c.gain for c in scores(model, 64, size=2)]


@pytest.mark.parametrize("name", ["plain", "mobilenet_v1"])
def test_auto_ends_where_it_is_stable_or_the_data_ends(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST", 64)
    model = trained(name)
    attempts: list[Scores] = []
    how = AdaptiveSampleSize(of=Splitting(), images="auto", told=attempts.append)  # type: ignore[arg-type]
    found = ea.score(model, ea.trace(model, sample()), batches(40, 32), how)
    assert isinstance(found, Scores)
    assert [one.images for one in attempts] == [64 * 2**k for k in range(len(attempts))]
    assert attempts, "the first 64 are too few"
    assert not any(one.stable for one in attempts)
    assert found.images > attempts[-1].images
    assert found.stable or found.images == 40 * 32
    assert found.stable == (
        found.held_out >= STABLE_GAIN and found.rank_correlation >= STABLE_RANK  # type: ignore
    )


def test_more_samples_are_more_stable() -> None:
    """What the rule rests on: held-out over claimed gain, and the halves' ranks."""
    model = trained("plain")
    few, many = scores(model, 128), scores(model, 1280)
    assert few.held_out is not None
    assert few.rank_correlation is not None
    assert few.held_out < many.held_out  # type: ignore[operator]
    assert few.rank_correlation < many.rank_correlation  # type: ignore[operator]
    width = [sum(c.interval for c in one if c.interval) / len(one) for one in (few, many)]
    assert width[1] < 0.5 * width[0]


def test_a_criterion_that_does_not_judge_itself_takes_the_first() -> None:
    assert "random" in CRITERIA
    assert len(scores(trained("plain"), "auto", criterion="random")) > 0


@pytest.mark.parametrize("images", [0, -3, "many"])
def test_no_number_of_samples(images: object) -> None:
    with pytest.raises(ScoringError, match="'auto' or 1 or more"):
        AdaptiveSampleSize(of=Splitting(), images=images)  # type: ignore[arg-type]


def test_the_last_batch_is_cut() -> None:
    data = batches(3, 10)
    cut = list(First(data, 25))
    assert [samples_in(x, y) for x, y in cut] == [10, 10, 5]
    assert torch.equal(cut[-1][0], data[-1][0][:5])
    assert [samples_in(x, y) for x, y in First(data, 20)] == [10, 10]

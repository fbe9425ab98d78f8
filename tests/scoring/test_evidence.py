"""A tally's mean is the samples' mean, its interval holds the truth as often as it says, its halves
are disjoint and whole.
"""

from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from easearch.scoring.samples.evidence import Tally, rank_correlation


def tallied(values: Tensor, sizes: list[int]) -> Tally:
    """Of (samples, quantities), in blocks of these sizes."""
    tally = Tally(values.shape[1])
    for block in values.split(sizes):
        tally.add(block.sum(0), len(block))
    return tally


def test_one_by_one_is_in_blocks_of_one() -> None:
    values = draw(11, 0)
    one, other = tallied(values, [1] * 11), Tally(3)
    for block in values.split([3, 4, 4]):
        other.add_each(block)
    for a, b in zip(one.tensors(), other.tensors(), strict=True):
        assert torch.allclose(a, b)


def draw(samples: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 3, generator=generator, dtype=torch.float64) + 2.0


@pytest.mark.parametrize("sizes", [[4, 4, 4], [5, 4, 3], [12], [1, 11]])
def test_mean_and_halves(sizes: list[int]) -> None:
    values = draw(12, 0)
    tally = tallied(values, sizes)
    assert tally.samples == 12
    assert torch.allclose(tally.mean, values.mean(0))
    blocks = values.split(sizes)
    for half in (0, 1):
        own = [block for number, block in enumerate(blocks) if number % 2 == half]
        if own:
            assert torch.allclose(tally.halves[half], torch.cat(own).mean(0))
        else:
            assert tally.halves[half].isnan().all()


@pytest.mark.parametrize("sizes", [[8] * 6, [16, 4, 8, 12, 4, 4]])
def test_interval_holds_the_truth_in_95_of_100(sizes: list[int]) -> None:
    inside = torch.stack(
        [
            (tally.mean - 2.0).abs() <= tally.interval
            for tally in (tallied(draw(sum(sizes), seed), sizes) for seed in range(700))
        ]
    )
    # Unequal blocks weigh unequally, which Student's t does not know: a little below.
    assert 0.91 < float(inside.double().mean()) < 0.98


def test_one_block_knows_no_interval() -> None:
    assert tallied(draw(4, 0), [4]).interval.isinf().all()


def test_rank_correlation_is_spearmans() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(30, generator=generator, dtype=torch.float64).round(decimals=1)
    other = one + torch.randn(30, generator=generator, dtype=torch.float64)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, -one) == pytest.approx(-1)


def test_nothing_to_rank() -> None:
    zeros = torch.zeros(5)
    assert rank_correlation(zeros, zeros) is None
    assert rank_correlation(torch.ones(2), torch.ones(2)) is None
    assert rank_correlation(torch.tensor([1.0, 2, float("nan")]), torch.ones(3)) is None

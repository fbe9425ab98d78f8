"""Schemes of two, three and four offspring: feasible, worth what the table says, and no feasible
scheme is worth more.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from easearch.errors import ScoringError
from easearch.scoring.spectrum.signed import points_of, schemes

ENDS = [(-1.0, 2.0), (-2.0, 1.0), (-1.0, 1.0), (-1.0, -0.2), (0.3, 1.0), (-1.0, 0.0)]


def best(low: float, high: float, c: float, offspring: int) -> float:
    """The least `G` of our schemes with at most so many offspring; standing still is 0."""
    ends = torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)
    values = [float(s.value(*ends)) for s in schemes(c) if len(s.shares) <= offspring]
    return min([0.0, *values])


@pytest.mark.parametrize("c", [1.0, 1.5, 2.0, 3.0, 7.0])
def test_feasible(c: float) -> None:
    for scheme in schemes(c):
        shares, points = np.array(scheme.shares), np.array(scheme.points)
        assert shares.sum() == pytest.approx(1)
        assert np.abs(shares).sum() <= c + 1e-12
        assert np.allclose(shares @ points, 0)
        assert (np.linalg.norm(points, axis=1) <= 1 + 1e-12).all()


@pytest.mark.parametrize("low, high", ENDS)
def test_values_are_the_table(low: float, high: float) -> None:
    """docs/methods.md, 2."""
    c = 3.0
    rho = (c - 1) / (c + 1)
    table = {
        "halves": low,
        "signed": -rho * high,
        "low": (c + 1) / 2 * low,
        "high": -(c - 1) / 2 * high,
        "mixed": 2 * c / (c + 1) * low - rho * high,
        "both": (c + 1) / 2 * low - (c - 1) / 2 * high,
    }
    ends = torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)
    assert {s.name: float(s.value(*ends)) for s in schemes(c)} == pytest.approx(table)


@pytest.mark.parametrize("low, high", ENDS)
@pytest.mark.parametrize("c", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("offspring", [2, 3, 4])
def test_nothing_feasible_is_worth_more(low: float, high: float, c: float, offspring: int) -> None:
    """Against a search over random feasible schemes: shares, signs and displacements are free, and
    the matrix has eigenvalues between the ends too.
    """
    wanted = best(low, high, c, offspring)
    found = searched(np.array([low, 0.5 * (low + high), high]), c, offspring)
    assert found >= wanted - 1e-9
    assert found <= 0.9 * wanted + 1e-12  # the search comes near, so that the above says something


def searched(eigenvalues: np.ndarray, c: float, offspring: int) -> float:
    """The least `sum a_k delta_k' S delta_k` that climbing from many random schemes finds."""
    random = np.random.default_rng(0)
    many, size = 400, len(eigenvalues)
    negative = random.integers(0, offspring, many)[:, None] > np.arange(offspring)[None]
    state = random.normal(size=(many, offspring + 1 + offspring * size))
    value = worth(state, negative, eigenvalues, c)
    for step in np.geomspace(1.0, 0.01, 1500):
        moved = random.random(state.shape) < 0.3
        other = state + step * moved * random.normal(size=state.shape)
        new = worth(other, negative, eigenvalues, c)
        better = new < value
        state[better], value[better] = other[better], new[better]
    return float(value.min())


def worth(state: np.ndarray, negative: np.ndarray, eigenvalues: np.ndarray, c: float) -> np.ndarray:
    """`G` of schemes that free numbers stand for, made feasible."""
    many, offspring = negative.shape
    weight = np.exp(np.clip(state[:, :offspring], -8, 8))
    minus = (c - 1) / 2 / (1 + np.exp(-np.clip(state[:, offspring], -30, 30)))
    minus = np.where(negative.any(1), minus, 0.0)[:, None]
    down, up = weight * negative, weight * ~negative
    shares = up / up.sum(1, keepdims=True) * (1 + minus)
    shares = shares - down / np.maximum(down.sum(1, keepdims=True), 1e-12) * minus
    delta = state[:, offspring + 1 :].reshape(many, offspring, -1)
    # The weighted mean is taken off (shares sum to one), the longest is made of length one.
    delta = delta - np.einsum("nk,nkd->nd", shares, delta)[:, None]
    delta = delta / np.linalg.norm(delta, axis=2).max(1)[:, None, None]
    assert np.allclose(np.einsum("nk,nkd->nd", shares, delta), 0, atol=1e-9)
    return np.minimum(np.einsum("nk,nkd,d->n", shares, delta**2, eigenvalues), 0.0)


def test_points_are_asked_for_once() -> None:
    assert len(points_of(schemes(3.0))) == 7
    assert len(points_of(schemes(1.0))) == 2


@pytest.mark.parametrize("c", [0.9, -1.0, float("nan"), float("inf")])
def test_no_shares_sum_to_less_than_one(c: float) -> None:
    with pytest.raises(ScoringError, match="1 or more"):
        schemes(c)

"""Both ends of the spectrum, against the whole decomposition, from every kind of start."""

from __future__ import annotations

import pytest
import torch

from easearch.scoring.spectrum.eigen import SOLVERS, Ends, Lanczos


def matrices(channels: int, size: int, decay: float = 1.0) -> torch.Tensor:
    """Spectra of both signs, thinning towards the ends."""
    generator = torch.Generator().manual_seed(7)
    Q = torch.linalg.qr(torch.randn(channels, size, size, generator=generator).double()).Q
    values = torch.randn(channels, size, generator=generator).double().pow(3) * decay
    return Q @ torch.diag_embed(values) @ Q.mT


def solved(S: torch.Tensor, name: str = "lanczos", start: torch.Tensor | None = None) -> Ends:
    solver = SOLVERS[name](*S.shape[:2], S[:, 0], torch.Generator().manual_seed(1), start)
    asked = torch.ones(len(S), dtype=torch.bool)
    while not solver.done:
        v = solver.vectors()
        assert v.shape == S.shape[:2]
        now = v.any(1)
        assert not (now & ~asked).any()  # a channel that is done does not come back
        asked = now
        solver.advance(torch.einsum("cij,cj->ci", S, v))
    return solver.ends()


def off(S: torch.Tensor, ends: Ends) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of both ends, relative to what they promise to be (`Lanczos`); the vectors' quotients
    are the values.
    """
    values = torch.linalg.eigvalsh(S)
    for vectors, found in ((ends.low_vectors, ends.low), (ends.high_vectors, ends.high)):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(S)).double())
        quotients = torch.einsum("ci,cij,cj->c", vectors, S, vectors)
        assert torch.allclose(quotients, found, rtol=1e-6, atol=1e-9)
    low = (ends.low - values[:, 0]).abs() / values[:, 0].abs()
    size = torch.maximum(values[:, -1].abs(), 0.1 * values[:, 0].abs())
    high = (ends.high - values[:, -1]).abs() / size
    return low, high


@pytest.mark.parametrize("name", ["lanczos", "exact"])
@pytest.mark.parametrize("size", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("start", [False, True])
def test_both_ends(name: str, size: int, start: bool) -> None:
    S = matrices(200, size)
    given = torch.ones(200, size, dtype=torch.float64) if start else None
    low, high = off(S, solved(S, name, given))
    assert low.median() < 0.01
    assert high.median() < 0.01
    assert low.quantile(0.85) < 0.05
    assert high.quantile(0.85) < 0.05


def test_a_start_without_either_end_hides_none() -> None:
    """An eigenvector from the middle, of every channel: exactly invariant."""
    S = matrices(400, 12)
    middle = torch.linalg.eigh(S).eigenvectors[:, :, 6]
    low, high = off(S, solved(S, start=middle))
    assert low.quantile(0.85) < 0.05
    assert high.quantile(0.85) < 0.05


def test_a_start_of_zero_is_none() -> None:
    S = matrices(20, 30)
    nowhere, chance = solved(S, start=torch.zeros(20, 30)), solved(S)
    assert torch.allclose(nowhere.low, chance.low)
    assert torch.allclose(nowhere.low_vectors, chance.low_vectors, atol=1e-9)


@pytest.mark.parametrize("name", ["lanczos", "exact"])
def test_nothing_bent_is_zero(name: str) -> None:
    ends = solved(torch.zeros(5, 8, 8, dtype=torch.float64), name)
    assert torch.equal(ends.low, torch.zeros(5).double())
    assert torch.equal(ends.high, torch.zeros(5).double())


def test_scale_does_not_matter() -> None:
    S = matrices(50, 30)
    small, large = solved(1e-12 * S), solved(1e12 * S)
    assert torch.allclose(small.low * 1e24, large.low, rtol=1e-6)


def test_easy_channels_are_done_before_hard_ones() -> None:
    """A lone eigenvalue at each end takes three products, a dense spectrum more."""
    lone = torch.diag_embed(torch.cat([torch.tensor([-5.0, 5.0]), torch.zeros(30)]).double())
    dense = torch.diag_embed(torch.linspace(-1, 1, 32).double())
    S = torch.stack([lone] * 10 + [dense] * 10)
    solver = Lanczos(20, 32, S[:, 0], torch.Generator().manual_seed(0))
    for _ in range(4):
        solver.advance(torch.einsum("cij,cj->ci", S, solver.vectors()))
    left = solver.vectors().any(1)
    assert not left[:10].any()
    assert left[10:].all()
    assert not solver.done

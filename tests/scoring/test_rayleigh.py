"""The published descent comes to the ends of the spectrum where it has the time to, and is worse
than Lanczos where it has not.
"""

from __future__ import annotations

import pytest
import torch
from networks import batches, sample, trained
from torch import Tensor

import easearch as ea
from easearch.scoring.spectrum.eigen import Lanczos
from easearch.scoring.spectrum.rayleigh import EPOCHS, Rayleigh


def matrices(channels: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(channels, size, size, generator=generator, dtype=torch.float64)
    return (A + A.mT) / 2


def descended(S: Tensor, batches_an_epoch: int, sign: int) -> tuple[Tensor, Tensor]:
    solver = Rayleigh(len(S), S.shape[1], S, torch.Generator().manual_seed(1), sign)
    while not solver.done:
        for _ in range(batches_an_epoch):
            solver.advance((S @ solver.vectors()[:, :, None])[:, :, 0])
        solver.turn()
    return solver.end()


@pytest.mark.parametrize("sign", [1, -1])
def test_both_ends_where_the_data_is_long(sign: int) -> None:
    S = matrices(6, 5)
    values, vectors = descended(S, 1500, sign)
    exact = torch.linalg.eigh(S)
    end = 0 if sign == 1 else -1
    reach = exact.eigenvalues.abs().amax(1)
    assert ((values - exact.eigenvalues[:, end]).abs() < 0.02 * reach).all()
    assert ((vectors * exact.eigenvectors[:, :, end]).sum(1).abs() > 0.98).all()
    assert torch.allclose(vectors.norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_short_of_steps_it_is_far_off() -> None:
    """docs/methods.md, 5: below 1,000 steps; Lanczos on the same products is not."""
    S = matrices(20, 24)
    values, _ = descended(S, 8, 1)
    solver = Lanczos(20, 24, S, torch.Generator().manual_seed(1), steps=12, tolerance=1e-9)
    while not solver.done:
        solver.advance((S @ solver.vectors()[:, :, None])[:, :, 0])
    exact = torch.linalg.eigvalsh(S)[:, 0]
    far = ((values - exact) / exact).abs().median()
    assert far > 20 * ((solver.ends().low - exact) / exact).abs().median()
    assert EPOCHS * 8 > 12  # it has had more products


@pytest.mark.parametrize("c", [1.0, 3.0])
def test_it_solves_for_a_criterion(c: float) -> None:
    """Its gains are real ones, of worse directions than the whole matrix's."""
    model = trained("plain")
    graph = ea.trace(model, sample())
    how = {"scope": "layer", "c": c, "crossfit": False}
    found = ea.score(model, graph, batches(), ea.Splitting(solver="rayleigh", **how))
    exact = ea.score(model, graph, batches(), ea.Splitting(solver="exact", **how))
    assert {m.move.group for m in found} == {m.move.group for m in exact}
    assert 0 < sum(c.gain for c in found) <= 1.02 * sum(c.gain for c in exact)

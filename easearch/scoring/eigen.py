"""Both ends of the spectrum of many symmetric matrices at once, given only their products with
vectors.

Legend: C channels (one matrix each), D its size, K Krylov vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""(C, D) -> (C, D): every channel's matrix times its own vector."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """Smallest and largest eigenvalue (C,) of every matrix, their unit eigenvectors (C, D)."""

    low: Tensor
    low_vectors: Tensor
    high: Tensor
    high_vectors: Tensor


class Exact:
    """The whole matrix, a column a product, and its eigendecomposition. D products."""

    def __init__(self, channels: int, size: int, like: Tensor, generator: torch.Generator) -> None:
        self._size = size
        self._columns: list[Tensor] = []
        self._basis = torch.eye(size, dtype=like.dtype, device=like.device)
        self._channels = channels

    @property
    def done(self) -> bool:
        """Whether every column is there."""
        return len(self._columns) == self._size

    def vectors(self) -> Tensor:
        """(C, D): what to multiply next."""
        return self._basis[len(self._columns)].expand(self._channels, -1)

    def advance(self, product: Tensor) -> None:
        """Take the product with `vectors()`."""
        self._columns.append(product.double())

    def ends(self) -> Ends:
        """From the symmetric part: rounding leaves the matrix a little askew."""
        S_CDD = torch.stack(self._columns, dim=2)
        values, vectors = torch.linalg.eigh((S_CDD + S_CDD.mT) / 2)
        like = self._basis
        return Ends(
            low=values[:, 0],
            low_vectors=vectors[:, :, 0].to(like),
            high=values[:, -1],
            high_vectors=vectors[:, :, -1].to(like),
        )


class Lanczos:
    """Lanczos in lockstep over all channels, with full reorthogonalisation [docs/methods.md, 5].

    Stops when the residual bound `beta_K |s_K|` of the lower end is below `tolerance` times the
    spectrum's reach for all but the last twentieth of the channels, after `steps` products at the
    latest.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        like: Tensor,
        generator: torch.Generator,
        *,
        steps: int = 10,
        tolerance: float = 0.05,
    ) -> None:
        self._steps, self._tolerance, self._like = min(steps, size), tolerance, like
        # Drawn on the CPU, so that every device starts from the same vectors.
        start = torch.randn(channels, size, generator=generator, dtype=torch.float64)
        self._Q = [_unit(start.to(like.device))]
        self._alpha: list[Tensor] = []
        self._beta: list[Tensor] = []
        self._exhausted = False

    @property
    def done(self) -> bool:
        """Whether the ends are known well enough."""
        taken = len(self._alpha)
        return taken >= self._steps or self._exhausted or (taken > 2 and self._converged())

    def vectors(self) -> Tensor:
        """(C, D): what to multiply next."""
        return self._Q[-1].to(self._like)

    def advance(self, product: Tensor) -> None:
        """Take the product with `vectors()`; make the next vector orthogonal to all before."""
        w = product.to(self._Q[-1])
        self._alpha.append((w * self._Q[-1]).sum(1))
        scale = w.norm(dim=1)
        for _ in range(2):
            for q in self._Q:
                w = w - (w * q).sum(1, keepdim=True) * q
        beta = w.norm(dim=1)
        # An exhausted Krylov space: what is left is rounding, and must not come back as a
        # direction.
        alive = beta > 1e-6 * scale.clamp(min=1e-30)
        self._beta.append(torch.where(alive, beta, 0.0))
        self._Q.append(torch.where(alive[:, None], w / beta.clamp(min=1e-300)[:, None], 0.0))
        self._exhausted = not bool(alive.any())

    def ends(self) -> Ends:
        """Ritz values and vectors of both ends."""
        values, vectors = self._ritz()
        Q_CDK = torch.stack(self._Q[: len(self._alpha)], dim=2)
        low, high = values.argmin(1), values.argmax(1)
        return Ends(
            low=values.gather(1, low[:, None])[:, 0],
            low_vectors=_unit(_combine(Q_CDK, vectors, low)).to(self._like),
            high=values.gather(1, high[:, None])[:, 0],
            high_vectors=_unit(_combine(Q_CDK, vectors, high)).to(self._like),
        )

    def _ritz(self) -> tuple[Tensor, Tensor]:
        k = len(self._alpha)
        T = torch.diag_embed(torch.stack(self._alpha, dim=1))
        if k > 1:
            off = torch.stack(self._beta[: k - 1], dim=1)
            T = T + torch.diag_embed(off, offset=1) + torch.diag_embed(off, offset=-1)
            # Where the space was exhausted, a zero row would pass for an eigenvalue 0: repeat the
            # first Rayleigh quotient there, which lies between the ends.
            dead = torch.cat(
                [off.new_zeros(len(off), 1), off.eq(0).cummax(dim=1).values.to(off)], dim=1
            )
            T = T + torch.diag_embed(
                dead * (self._alpha[0][:, None] - torch.stack(self._alpha, dim=1))
            )
        values, vectors = torch.linalg.eigh(T)
        return values, vectors

    def _converged(self) -> bool:
        values, vectors = self._ritz()
        residual = self._beta[-1] * vectors[:, -1, 0].abs()
        reach = values.abs().amax(1).clamp(min=1e-30)
        return bool((residual / reach).quantile(0.95) < self._tolerance)


SOLVERS = {"exact": Exact, "lanczos": Lanczos}


def _unit(v: Tensor) -> Tensor:
    length: Tensor = v.norm(dim=1, keepdim=True)
    return v / length.clamp(min=1e-300)


def _combine(Q_CDK: Tensor, vectors: Tensor, column: Tensor) -> Tensor:
    chosen = vectors.gather(2, column[:, None, None].expand(-1, vectors.shape[1], 1))
    combined: Tensor = (Q_CDK @ chosen)[:, :, 0]
    return combined

"""Both ends of the spectrum of many symmetric matrices at once, given only their products with
vectors.

Legend: C channels (one matrix each), D its size, K Krylov vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """Smallest and largest eigenvalue (C,) of every matrix, their unit eigenvectors (C, D)."""

    low: Tensor
    low_vectors: Tensor
    high: Tensor
    high_vectors: Tensor


class Exact:
    """The whole matrix, a column a product, and its eigendecomposition. D products."""

    def __init__(
        self,
        channels: int,
        size: int,
        like: Tensor,
        generator: torch.Generator,
        start: Tensor | None = None,
    ) -> None:
        """Where the others start makes no difference here."""
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
    """Lanczos over all channels at once, with full reorthogonalisation [docs/methods.md, 5].

    A channel is done when the error of both its ends is small: estimated by `r^2 / gap`, with `r`
    the residual and `gap` the distance to the next Ritz value, below `tolerance` times that end's
    size (of an upper end much smaller than the lower, a tenth of the lower's). From then on its
    vector is zero: products that skip such rows get cheaper step by step (linearised/). All is done
    when all but the last twentieth of the channels are, after `steps` products at the latest.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        like: Tensor,
        generator: torch.Generator,
        start: Tensor | None = None,
        *,
        steps: int = 14,
        tolerance: float = 0.03,
    ) -> None:
        """`start`, (C, D), is where to begin; a tenth of chance is added, lest a symmetry hide an
        end of the spectrum, and all is left to chance where it is zero.
        """
        self._steps, self._tolerance, self._like = min(steps, size), tolerance, like
        # Drawn on the CPU, so that every device starts from the same vectors.
        drawn = torch.randn(channels, size, generator=generator, dtype=torch.float64)
        first = _unit(drawn.to(like.device))
        if start is not None:
            first = _unit(_unit(start.to(first)) + CHANCE * first)
        self._Q = [first]
        self._alpha: list[Tensor] = []
        self._beta: list[Tensor] = []
        self._exhausted = False

    @property
    def done(self) -> bool:
        """Whether the ends are known well enough."""
        return len(self._alpha) >= self._steps or self._exhausted

    def vectors(self) -> Tensor:
        """(C, D): what to multiply next; zero for channels that are done."""
        return self._Q[-1].to(self._like)

    def advance(self, product: Tensor) -> None:
        """Take the product with `vectors()`; make the next vector orthogonal to all before."""
        channels = self._Q[-1].any(1).nonzero()[:, 0]  # the others are done
        w = product.index_select(0, channels).to(self._Q[-1])
        Q_CKD = torch.stack([q.index_select(0, channels) for q in self._Q], dim=1)
        self._alpha.append(self._spread((w * Q_CKD[:, -1]).sum(1), channels))
        scale = w.norm(dim=1)
        for _ in range(2):
            w = w - ((Q_CKD @ w[:, :, None]).mT @ Q_CKD)[:, 0]
        beta = w.norm(dim=1)
        # An exhausted Krylov space: what is left is rounding, and must not come back as a
        # direction.
        alive = beta > 1e-6 * scale.clamp(min=1e-30)
        if len(self._alpha) > 2:
            alive = alive & ~self._known(torch.where(alive, beta, 0.0), channels)
        self._beta.append(self._spread(torch.where(alive, beta, 0.0), channels))
        q = torch.where(alive[:, None], w / beta.clamp(min=1e-300)[:, None], 0.0)
        self._Q.append(self._spread(q, channels))
        self._exhausted = int(alive.sum()) <= REST * len(self._Q[0])

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

    def _spread(self, values: Tensor, channels: Tensor) -> Tensor:
        """Of these channels -> of all, zero for the others."""
        whole = values.new_zeros(len(self._Q[0]), *values.shape[1:])
        return whole.index_copy_(0, channels, values)

    def _ritz(self, channels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        at = slice(None) if channels is None else channels
        alpha = torch.stack(self._alpha, dim=1)[at]
        T = torch.diag_embed(alpha)
        if alpha.shape[1] > 1:
            off = torch.stack(self._beta[: alpha.shape[1] - 1], dim=1)[at]
            T = T + torch.diag_embed(off, offset=1) + torch.diag_embed(off, offset=-1)
            # Where the space was exhausted, a zero row would pass for an eigenvalue 0: repeat the
            # first Rayleigh quotient there, which lies between the ends.
            dead = torch.cat(
                [off.new_zeros(len(off), 1), off.eq(0).cummax(dim=1).values.to(off)], dim=1
            )
            T = T + torch.diag_embed(dead * (alpha[:, :1] - alpha))
        values, vectors = torch.linalg.eigh(T)
        return values, vectors

    def _known(self, beta: Tensor, channels: Tensor) -> Tensor:
        """Whether both ends are, given the length of what the last product left over."""
        values, vectors = self._ritz(channels)
        residual = beta[:, None] * vectors[:, -1].abs()
        low = _error(residual[:, 0], values[:, 1] - values[:, 0])
        high = _error(residual[:, -1], values[:, -1] - values[:, -2])
        down, up = values[:, 0].abs(), values[:, -1].abs()
        enough = self._tolerance
        return (low <= enough * down) & (high <= enough * torch.maximum(up, SMALL * down))


CHANCE = 0.1
"""Length of the random part of a start vector beside the given one."""
SMALL = 0.1
"""An upper end below so much of the lower one's size need not be known to its own size."""
REST = 0.05
"""Share of the channels that is not waited for."""

SOLVERS = {"exact": Exact, "lanczos": Lanczos}


def _error(residual: Tensor, gap: Tensor) -> Tensor:
    """Of a Ritz value: not above its residual, and about `r^2 / gap` where that is less."""
    return torch.minimum(residual, residual.square() / gap.clamp(min=1e-300))


def _unit(v: Tensor) -> Tensor:
    length: Tensor = v.norm(dim=1, keepdim=True)
    return v / length.clamp(min=1e-300)


def _combine(Q_CDK: Tensor, vectors: Tensor, column: Tensor) -> Tensor:
    chosen = vectors.gather(2, column[:, None, None].expand(-1, vectors.shape[1], 1))
    combined: Tensor = (Q_CDK @ chosen)[:, :, 0]
    return combined

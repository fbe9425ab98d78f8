"""Stochastic descent on the Rayleigh quotient, the published way to the smallest eigenvalue.

Numbers are those of the authors' code: start in U(-0.1, 0.1), RMSprop with rate 1e-3, momentum 0.9
and smoothing 0.9, vectors renormalised after each step, the rate times 0.2 every second epoch, ten
epochs; the eigenvalue is the mean of the last epoch's quotients [Wang2019].

It is kept for comparison: at the same cost Lanczos is more accurate by orders of magnitude
(docs/methods.md, 5).

[Wang2019] Wang, Li, Wu, Chandra, Liu. Energy-Aware Neural Architecture Optimization with Fast
Splitting Steepest Descent. arXiv:1910.03103.

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPOCHS = 10
RATE, MOMENTUM, SMOOTHING = 1e-3, 0.9, 0.9
FADING, EVERY = 0.2, 2
"""The rate is multiplied by the first every so many epochs."""


class Rayleigh:
    """Descent (`sign` 1: to the smallest eigenvalue) or ascent (-1: to the largest) of every
    channel's quotient `v'Sv / v'v`, a step a batch.
    """

    def __init__(
        self, channels: int, size: int, like: Tensor, generator: torch.Generator, sign: int = 1
    ) -> None:
        start = 0.2 * torch.rand(channels, size, generator=generator, dtype=torch.float64) - 0.1
        self._sign, self._v = sign, start.to(like)
        self._square = torch.zeros_like(self._v)
        self._velocity = torch.zeros_like(self._v)
        self._epoch = 0
        self._quotients: list[Tensor] = []

    @property
    def done(self) -> bool:
        """Whether all epochs are through."""
        return self._epoch >= EPOCHS

    def vectors(self) -> Tensor:
        """(C, D): what to multiply with the next batch's matrix."""
        return self._v

    def advance(self, product: Tensor) -> None:
        """A step, given `S v` of one batch."""
        v, length = self._v, self._v.square().sum(1, keepdim=True).clamp(min=1e-30)
        inner = (v * product).sum(1, keepdim=True)
        self._quotients.append((inner / length)[:, 0])
        slope = 2 * self._sign * (product * length - v * inner) / length.square()
        self._square = SMOOTHING * self._square + (1 - SMOOTHING) * slope.square()
        self._velocity = MOMENTUM * self._velocity + slope / (self._square.sqrt() + 1e-8)
        v = v - RATE * FADING ** (self._epoch // EVERY) * self._velocity
        self._v = v / v.norm(dim=1, keepdim=True).clamp(min=1e-30)

    def turn(self) -> None:
        """An epoch is over."""
        self._epoch += 1
        if not self.done:
            self._quotients = []

    def end(self) -> tuple[Tensor, Tensor]:
        """Eigenvalue (C,) and unit vector (C, D)."""
        found = torch.stack(self._quotients).double().mean(0)
        return found, self._v / self._v.norm(dim=1, keepdim=True).clamp(min=1e-30)

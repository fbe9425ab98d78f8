"""How a channel is replaced by two, three or four: shares and displacements along both ends of its
spectrum.

With `sum a_k = 1`, `sum a_k delta_k = 0`, `sum |a_k| <= c` and `|delta_k| <= 1` the loss changes by
`eps^2 / 2 * sum a_k delta_k' S delta_k` [Wu2020]. Positive shares (c = 1) reach the smallest
eigenvalue; signed ones also turn the largest into a gain. Minima by number of offspring:
docs/methods.md, 2. That for three (`mixed`) lies below the one of the paper where both ends count.

Legend: rho = (c - 1) / (c + 1).

[Wu2020] Wu, Ye, Lei, Lee, Liu. Steepest Descent Neural Architecture Optimization: Escaping Local
Optimum with Signed Neural Splitting. arXiv:2003.10392.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from easearch.errors import ScoringError

Point = tuple[float, float]
"""A displacement: so much along the eigenvector of the smallest eigenvalue, so much along that of
the largest."""
HERE: Point = (0.0, 0.0)


@dataclass(frozen=True)
class Scheme:
    """Offspring: a share and a displacement each."""

    name: str
    shares: tuple[float, ...]
    points: tuple[Point, ...]

    def value(self, low: Tensor, high: Tensor) -> Tensor:
        """`sum a_k delta_k' S delta_k` of matrices with these ends of the spectrum."""
        along_low = sum(a * p * p for a, (p, _) in zip(self.shares, self.points, strict=True))
        along_high = sum(a * q * q for a, (_, q) in zip(self.shares, self.points, strict=True))
        return along_low * low + along_high * high


def schemes(c: float) -> tuple[Scheme, ...]:
    """All that may be the best for some channel, fewest offspring first.

    Raises:
        ScoringError: c below 1: shares that sum to 1 cannot be smaller than that.
    """
    if not 1 <= c < math.inf:
        raise ScoringError(f"expected c, the sum of the shares' sizes, to be 1 or more, got {c}")
    halves = Scheme("halves", (0.5, 0.5), ((1.0, 0.0), (-1.0, 0.0)))
    if c == 1:
        return (halves,)
    more, less, rho = (c + 1) / 4, (c - 1) / 4, (c - 1) / (c + 1)
    aside = math.sqrt(1 - rho**2)
    up, down = ((1.0, 0.0), (-1.0, 0.0)), ((0.0, 1.0), (0.0, -1.0))
    return (
        halves,
        Scheme("signed", (-2 * less, 2 * more), ((0.0, 1.0), (0.0, rho))),
        Scheme("low", (more, more, -2 * less), (*up, HERE)),
        Scheme("high", (-less, -less, 2 * more), (*down, HERE)),
        Scheme("mixed", (more, more, -2 * less), ((aside, rho), (-aside, rho), (0.0, 1.0))),
        Scheme("both", (more, more, -less, -less), (*up, *down)),
    )


def points_of(found: tuple[Scheme, ...]) -> tuple[Point, ...]:
    """Every displacement that a scheme asks for, once; standing still is none."""
    asked = dict.fromkeys(point for scheme in found for point in scheme.points)
    return tuple(point for point in asked if point != HERE)

"""From items timed alone to whole networks: `ms = a + sum(b * row - c * ends - each)`.

A convolution timed alone brings its input into the runtime's blocked layout and its output out of
it; inside a network its neighbours keep that layout. The waste is proportional to the numbers at
its two ends, so `c` takes it out (on a runtime without blocks the fit finds `c` near 0). Alone it
also pays for starting the runtime, which a network pays once: `each` takes that out. `b` takes in
what is proportional, `a` what a network pays besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from easearch.graph import Shape

BLOCKED_KINDS = ("conv", "depthwise", "grouped", "pool")
FEW = 4
"""Maps of so few channels (images) are taken as they are."""
LEAST = 0.1
"""An item keeps at least this share of its time alone."""
LOWEST = np.array([-np.inf, 0.0, 0.0])
"""Least values of `a - items * each`, `b`, `c`."""
HUBER = 0.02
"""Relative error from which a point counts less: some noise floors of a shared machine."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A whole network: its rows (ms) and ends (millions) summed, and its milliseconds."""

    rows: float
    ends: float
    ms: float


@dataclass(frozen=True, kw_only=True)
class Affine:
    """`a` and `each` in ms, `b` without unit, `c` in ms a million numbers; all >= 0."""

    a: float
    b: float
    c: float
    each: float = 0.0
    items: int = 1
    """How many items a network of the structure has."""

    def charge(self, item: tuple[Shape, ...], row_ms: float) -> float:
        """What the item costs inside a network, in ms."""
        return max(LEAST * self.b * row_ms, self.b * row_ms - self.c * ends(item) - self.each)

    def error(self, points: Sequence[Point]) -> float:
        """Mean relative error on points."""
        return float(np.mean([abs(self._of(point) / point.ms - 1) for point in points]))

    def _of(self, point: Point) -> float:
        fixed = self.a - self.items * self.each
        return fixed + self.b * point.rows - self.c * point.ends


def ends(item: tuple[Shape, ...]) -> float:
    """Numbers that an item converts between layouts when it runs alone, in millions."""
    head, last = item[0], item[-1]
    if head.kind not in BLOCKED_KINDS:
        return 0.0
    sides = ((head.in_channels, head.in_size), (last.out_channels, last.out_size))
    return sum(float(c * np.prod(size)) for c, size in sides if c > FEW) / 1e6


def fit(points: Sequence[Point], items: int = 1) -> Affine:
    """Least squares of the relative error with `b, c >= 0`, outliers weighted down (Huber).

    A constant below zero is what `items` items pay each when they are timed alone.
    """
    ms = np.asarray([point.ms for point in points])
    columns = np.asarray([[1.0, point.rows, -point.ends] for point in points]) / ms[:, None]
    # One size, or nearly, tells of one coefficient only. (A column of zeros would leave the other
    # two to the solver's rounding.)
    told = [1] if len({point.rows for point in points}) < 4 else [0, 1, 2]
    solution = np.zeros(3)
    weights = np.ones(len(points))
    for _ in range(20):
        weighted = columns[:, told] * weights[:, None]
        solution[told] = lsq_linear(weighted, weights, bounds=(LOWEST[told], np.inf)).x
        errors = np.abs(columns @ solution - 1)
        weights = np.sqrt(np.minimum(1.0, HUBER / np.maximum(errors, 1e-12)))
    a, b, c = (float(value) for value in solution)
    return Affine(a=max(a, 0.0), b=b, c=c, each=max(-a, 0.0) / items, items=items)

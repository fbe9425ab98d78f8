"""From items timed alone to whole networks: `ms = a + sum(b * row - c * ends - each)`.

A convolution timed alone brings its input into the runtime's blocked layout and its output out of
it; inside a network its neighbours keep that layout. The waste is proportional to the numbers at
its two ends, so `c` takes it out (on a runtime without blocks the fit finds `c` near 0). Alone it
also pays for starting the runtime, which a network pays once: `each` takes that out. `b` takes in
what is proportional, `a` what a network pays besides.
"""

from __future__ import annotations

import math
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
ITERATIONS = 20
HUBER = 0.02
"""Relative error from which a point counts less: some noise floors of a shared machine."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A whole network: its rows (ms) and ends (millions) summed, and its milliseconds."""

    rows: float
    ends: float
    items: int
    ms: float


@dataclass(frozen=True, kw_only=True)
class Affine:
    """`a` and `each` in ms, `b` without unit, `c` in ms a million numbers; all >= 0."""

    a: float
    b: float
    c: float
    each: float = 0.0

    def charge(self, item: tuple[Shape, ...], row_ms: float) -> float:
        """What the item costs inside a network, in ms."""
        return max(LEAST * self.b * row_ms, self.b * row_ms - self.c * ends(item) - self.each)

    def errors(self, points: Sequence[Point]) -> list[float]:
        """Relative errors on points."""
        return [self._of(point) / point.ms - 1 for point in points]

    def _of(self, point: Point) -> float:
        return self.a - point.items * self.each + self.b * point.rows - self.c * point.ends


def ends(item: tuple[Shape, ...]) -> float:
    """Numbers that an item converts between layouts when it runs alone, in millions."""
    head, last = item[0], item[-1]
    if head.kind not in BLOCKED_KINDS:
        return 0.0
    sides = ((head.in_channels, head.in_shape), (last.out_channels, last.out_shape))
    return sum(float(math.prod(sizes)) for channels, sizes in sides if channels > FEW) / 1e6


def fit(points: Sequence[Point]) -> Affine:
    """Least squares of the relative error with `b, c >= 0`, outliers weighted down (Huber).

    Where all networks have as many items, a constant below zero is what these pay each when they
    are timed alone; elsewhere `a` and `each` are fitted apart, both `>= 0`.
    """
    one_structure = len({point.items for point in points}) == 1
    columns = np.asarray([[1.0, point.rows, -point.ends, -point.items] for point in points])
    lowest = np.array([-np.inf if one_structure else 0.0, 0.0, 0.0, 0.0])
    # One size, or nearly, tells of one coefficient only. (A column of zeros would leave the others
    # to the solver's rounding.)
    few = len({point.rows for point in points}) < 4
    told = [1] if few else [0, 1, 2] if one_structure else [0, 1, 2, 3]
    a, b, c, each = _solved(columns, np.asarray([point.ms for point in points]), told, lowest)
    if a < 0:
        a, each = 0.0, -a / points[0].items
    return Affine(a=a, b=b, c=c, each=each)


def left_out(groups: Sequence[Sequence[Point]]) -> list[float]:
    """Relative errors on each group of points by a line through the others'."""
    found: list[float] = []
    for i, group in enumerate(groups):
        others = [point for j, other in enumerate(groups) if j != i for point in other]
        found += fit(others).errors(group) if others else []
    return found


def _solved(
    columns: np.ndarray, ms: np.ndarray, told: list[int], lowest: np.ndarray
) -> list[float]:
    relative = columns / ms[:, None]
    solution = np.zeros(columns.shape[1])
    weights = np.ones(len(ms))
    for _ in range(ITERATIONS):
        weighted = relative[:, told] * weights[:, None]
        solution[told] = lsq_linear(weighted, weights, bounds=(lowest[told], np.inf)).x
        errors = np.abs(relative @ solution - 1)
        weights = np.sqrt(np.minimum(1.0, HUBER / np.maximum(errors, 1e-12)))
    return [float(value) for value in solution]

"""Prices of the limits: the multipliers at which the best growth that pays for what it uses is
worth the least.

For prices `lam` the growth that pays, `L(lam) = max over x of value(x) + lam . (room - used(x))`,
falls apart into tables over one or two variables (see tree.py) and is an upper bound of what any
plan within the limits can gain. Its minimum over `lam >= 0` is found by cutting planes
[Kelley1960]: every growth met is a plane under `L`; asked is halfway between the best prices so
far and the lowest point of the planes [Wentges1997], which keeps the prices from jumping about.

[Kelley1960] The cutting-plane method for solving convex programs. J. SIAM 8.
[Wentges1997] Weighted Dantzig-Wolfe decomposition for linear mixed-integer programming. ITOR 4.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from easearch.selection.dominated import barriers
from easearch.selection.program import Program
from easearch.selection.tree import Tree

ROUNDS = 300
"""How often to ask at most."""
LARGEST = 1e6
"""The highest price of a whole limit, in sums of all values."""
CLOSE = 3e-4
"""Distance between the best prices' worth and the planes' lowest point, in sums of all values, at
which the search ends.
"""


@dataclass(eq=False)
class Dual:
    """The prices of a program's rows, what they prove, and the growths met on the way.

    Attributes:
        lam: R prices, values a whole limit.
        upper: no choice within the limits is worth more.
        met: growths, the last ones are nearest to the best prices.
    """

    program: Program
    tree: Tree
    lam: np.ndarray
    upper: float = np.inf
    met: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        program: Program,
        start: np.ndarray,
        *,
        until: float,
        close: float = CLOSE,
        barred: bool = False,
    ) -> Dual:
        """The prices, from the planes of all growths met; `start` keeps every limit.

        Args:
            program: what is to be solved.
            start: a choice within the limits: prices above what it proves are not tried.
            until: the clock's (`time.perf_counter`) value at which to stop.
            close: see `CLOSE`.
            barred: rows over few groups are kept by every growth instead of priced: a lower bound,
                at more time for each; their prices are 0.
        """
        rows = len(program.rows)
        kept, closed = barriers(program) if barred else ([], np.zeros(rows, dtype=bool))
        dual = cls(program=program, tree=Tree(program, kept), lam=np.zeros(rows))
        planes = _Planes(program, start, np.flatnonzero(~closed))
        asked = dual.lam
        for number in range(ROUNDS):
            value, x, slope, height = dual.ask(asked)
            planes.add(height, slope)
            dual.met.append(x)
            if value < dual.upper:
                dual.upper, dual.lam = value, asked
            if closed.all() or number == ROUNDS - 1 or time.perf_counter() > until:
                break
            lowest, at = planes.lowest()
            if dual.upper - lowest <= close * planes.unit:
                break
            asked = 0.5 * (dual.lam + at) if value > lowest and number % 4 != 3 else at
        dual._tidy()
        return dual

    def ask(self, lam: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """`L(lam)`, the growth that attains it, and its plane: slope (R) and height."""
        program = self.program
        total, sums = self.tree.up(program.values - program.costs @ lam)
        x, entries = self.tree.best(sums)
        slope = program.room - program.spent(entries)
        return total + float(lam @ program.room), x, slope, float(program.values[entries].sum())

    def marginals(self) -> list[np.ndarray]:
        """For every group and option: no choice with it is worth more."""
        total, sums = self.tree.up(self.program.values - self.program.costs @ self.lam)
        paid = float(self.lam @ self.program.room)
        return [found + paid for found in self.tree.marginals(total, sums)]

    def _tidy(self) -> None:
        """Prices that prove nothing are none: of what does not bind."""
        for row in np.flatnonzero(self.lam):
            without = self.lam.copy()
            without[row] = 0.0
            value, *_ = self.ask(without)
            if value <= self.upper * (1 + 1e-9):
                self.lam, self.upper = without, min(value, self.upper)


class _Planes:
    """The planes met: values of at least `height + slope . lam`."""

    def __init__(self, program: Program, start: np.ndarray, priced: np.ndarray) -> None:
        self.rows, self.priced = len(program.rows), priced
        self.unit = sum(
            float(program.values[a:b].max(initial=0.0) - program.values[a:b].min(initial=0.0))
            for a, b in zip(
                program.offsets[: len(program.names)],
                program.offsets[1 : len(program.names) + 1],
                strict=True,
            )
        )
        self.unit = self.unit or 1.0
        self.heights: list[float] = []
        self.slopes: list[np.ndarray] = []
        slack = np.maximum(program.room - program.used(start), 0.0)
        self.add(program.value(start), slack)

    def add(self, height: float, slope: np.ndarray) -> None:
        """One more plane."""
        self.heights.append(height / self.unit)
        self.slopes.append(slope[self.priced])

    def lowest(self) -> tuple[float, np.ndarray]:
        """The lowest point above all planes, and the prices there."""
        slopes = np.array(self.slopes)
        rows = slopes.shape[1]
        # `milp` without whole variables: the same solver as `linprog`, called with less ado.
        found = milp(
            np.concatenate([[1.0], np.zeros(rows)]),
            constraints=LinearConstraint(
                np.hstack([np.ones((len(slopes), 1)), -slopes]), lb=self.heights
            ),
            bounds=Bounds([-np.inf, *[0.0] * rows], [np.inf, *[LARGEST] * rows]),
        )
        if found.x is None:
            return -np.inf, np.zeros(self.rows)
        lam = np.zeros(self.rows)
        lam[self.priced] = np.maximum(found.x[1:], 0.0) * self.unit
        return float(found.fun) * self.unit, lam

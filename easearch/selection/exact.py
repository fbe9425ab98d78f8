"""The best growth under several hard limits, proven to a stated gap.

First the prices of the limits and the best plan near them (duals.py), then the same with limits
over few groups kept instead of priced (barriers.py). Where the bound is not near enough, it still
proves of most options that no plan with them is better: these are left out, and what remains is a
small integer program, which HiGHS (`scipy.optimize.milp`) solves (integer.py). [Wang2019] relax the
program to fractions of channels, price them by MACs and round: the limit is then not guaranteed,
here it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound, Ranges
from easearch.selection.dual import Dual
from easearch.selection.duals import filling, near, relaxed, shadow_prices
from easearch.selection.integer import Integer
from easearch.selection.knapsack import Choice, planned
from easearch.selection.program import Program

CLOSE = 1e-6
"""How near the prices must be to the best ones (`dual.CLOSE`): the nearer, the fewer options are
left.
"""
CERTAIN = 1e-12
"""Relative difference below which two sums of values are the same."""


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Prices, and an integer program on what they leave; to a relative gap, within a time limit.

    Attributes:
        gap: relative distance from the best possible gain at which the solver may stop.
        seconds: time limit; the best plan found by then is taken, and its gap stated.
    """

    gap: float = 1e-4
    seconds: float = 30.0

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """The plan with the largest summed gain that keeps every bound; room left is filled.

        Raises:
            BudgetError: the network exceeds a bound before any growth, or a range cannot be kept.
        """
        fill = filling(self.seconds / 3)
        return planned(candidates, graph, bounds, step, ranges, "exact", self.solve, fill)

    def solve(self, program: Program, start: np.ndarray) -> Choice:
        """The best choice, or the best found in time, and what is proven."""
        until = time.perf_counter() + self.seconds
        x, first = relaxed(program, start, seconds=self.seconds / 3)
        upper = first.upper
        if not self._near(program.value(x), upper):
            soon = time.perf_counter() + (until - time.perf_counter()) / 3
            second = Dual.of(program, x, until=soon, close=CLOSE, barred=True)
            x, upper = near(second, x, until=soon), min(upper, second.upper)
            if not self._near(program.value(x), upper):
                x, upper = self._proven(x, upper, [first, second], until)
        return Choice(x=x, upper=upper, shadow_prices=shadow_prices(first))

    def _near(self, value: float, upper: float) -> bool:
        return upper - value <= self.gap * abs(value) + CERTAIN * abs(upper)

    def _proven(
        self, x: np.ndarray, upper: float, duals: Sequence[Dual], until: float
    ) -> tuple[np.ndarray, float]:
        """The choice and the bound, with what an integer program says of the options left."""
        program, value = duals[0].program, duals[0].program.value(x)
        kept = promising(duals, value)
        if not all(mask.any() for mask in kept):
            return x, value  # some group has no option left that a better plan could take
        small = program.restricted(kept)
        left = max(until - time.perf_counter(), 0.1)
        found, proven = Integer(small).solve(self.gap, left)
        upper = min(upper, max(proven + small.settled - program.settled, value))
        if found is not None:
            other = program.point(small.choice(found))
            if program.value(other) > value:
                x = other
        return x, upper


def promising(duals: Sequence[Dual], value: float) -> list[np.ndarray]:
    """For every group the options that a choice worth more than `value` may have."""
    every = [
        [found > value + CERTAIN * abs(dual.upper) for found in dual.marginals()] for dual in duals
    ]
    return [np.logical_and.reduce(masks) for masks in zip(*every, strict=True)]

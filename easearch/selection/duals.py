"""Prices of the limits, then the best plan found near them: fast, with a stated gap.

At the right prices the best growth that pays for what it uses lies just above or just below the
limits (dual.py); repaired, filled and improved by single and double changes (search.py) it is
within a per mille or so of the best on networks of many groups. The bound that the prices prove
states the gap. Networks of few groups and widths are another matter: there all choices are tried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound, Ranges
from easearch.selection.dual import CLOSE, Dual
from easearch.selection.knapsack import Choice, Solve, planned
from easearch.selection.program import SLACK, Program
from easearch.selection.search import Search, by_ratio, polished

FEW = 2**16
"""Choices that are all tried: where there are few, prices are a bad guide."""
NEAREST = 4
"""Growths met last from which plans are made."""
ENOUGH = 5e-3
"""A gap at which no plans are made from farther away."""


@dataclass(frozen=True, kw_only=True)
class Duals:
    """Lagrange multipliers, a greedy repair and fill.

    Attributes:
        seconds: time limit; the best plan found by then is taken, and its gap stated.
    """

    seconds: float = 10.0

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """A plan that keeps every bound, with its gap; room left is filled.

        Raises:
            BudgetError: the network exceeds a bound before any growth, or a range cannot be kept.
        """
        return planned(
            candidates, graph, bounds, step, ranges, "duals", self.solve, filling(self.seconds)
        )

    def solve(self, program: Program, start: np.ndarray) -> Choice:
        """The best choice found, and what the prices prove."""
        x, dual = relaxed(program, start, seconds=self.seconds)
        upper = dual.upper
        if 1 < math.prod(program.sizes[: len(program.names)]) <= FEW:
            x = tried(program)
            upper = program.value(x)
        return Choice(x=x, upper=upper, shadow_prices=shadow_prices(dual))


def tried(program: Program) -> np.ndarray:
    """The best choice within the limits, by trying all."""
    every = np.indices(program.sizes[: len(program.names)]).reshape(len(program.names), -1)
    worth = program.values[program.offsets[: len(program.names), None] + every].sum(axis=0)
    costs, used = program.costs.toarray(), np.zeros((every.shape[1], len(program.rows)))
    for entries in program.entries(every):
        used += costs[entries]
    kept = (used <= program.room + SLACK).all(axis=1)
    return np.asarray(every[:, np.where(kept, worth, -np.inf).argmax()])


def filling(seconds: float) -> Solve:
    """The same for room that gains have left: values are a preference there, so that prices that
    are nearly right will do.
    """

    def fill(program: Program, start: np.ndarray) -> Choice:
        return Choice(x=relaxed(program, start, seconds=seconds, close=1e-3)[0])

    return fill


def relaxed(
    program: Program, start: np.ndarray, *, seconds: float, close: float = CLOSE
) -> tuple[np.ndarray, Dual]:
    """The best choice found near the best prices, and these."""
    began = time.perf_counter()
    dual = Dual.of(program, start, until=began + 0.7 * seconds, close=close)
    return near(dual, start, until=began + seconds), dual


def near(dual: Dual, start: np.ndarray, *, until: float) -> np.ndarray:
    """The best choice found from the growths met last, from a greedy one, and from `start`."""
    program, best = dual.program, start
    found: dict[bytes, np.ndarray] = {}
    for x in reversed(dual.met):
        found.setdefault(x.tobytes(), x)
        if len(found) == NEAREST:
            break
    for x in found.values():
        best = _better(dual, best, x, until)
    if best is start or not _within(dual, best, ENOUGH):
        greedy = Search(program, start)
        greedy.climb(by_ratio)
        best = greedy.x if program.value(greedy.x) > program.value(best) else best
        for x in (greedy.x, start):
            best = _better(dual, best, x, until)
    return best


def _better(dual: Dual, best: np.ndarray, x: np.ndarray, until: float) -> np.ndarray:
    """The better of the best so far and of what is found from `x`, if there is need and time."""
    if _within(dual, best, 1e-9) or time.perf_counter() > until:
        return best
    program = dual.program
    found = polished(program, x, dual.lam, until=until)
    better = found is not None and program.value(found) > program.value(best)
    return found if found is not None and better else best


def _within(dual: Dual, x: np.ndarray, gap: float) -> bool:
    return dual.upper - dual.program.value(x) <= gap * abs(dual.upper)


def shadow_prices(dual: Dual) -> list[float]:
    """For every bound, the value (nats) that one more unit would buy."""
    program = dual.program
    found = [0.0] * len(program.prices)
    for row, lam in zip(program.meter, dual.lam, strict=True):
        found[row] += float(lam) / program.prices[row].bound.limit
    return found

"""Greedy by ratio: again and again the widening with the most gain for the share of the limits that
it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound, Ranges
from easearch.selection.knapsack import Choice, planned
from easearch.selection.program import Program
from easearch.selection.search import Search, by_ratio


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """One rung or more of one group's ladder at a time; no guarantee but the limits. The gap is not
    known.
    """

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """A plan that keeps every bound; room left is filled.

        Raises:
            BudgetError: the network exceeds a bound before any growth, or a range cannot be kept.
        """
        return planned(candidates, graph, bounds, step, ranges, "greedy", climbed, climbed)


def climbed(program: Program, start: np.ndarray) -> Choice:
    """The choice at which no widening fits any more or gains anything."""
    search = Search(program, start)
    search.climb(by_ratio, wider=True)
    return Choice(x=search.x)

"""Greedy by ratio: again and again the widening with the most gain for the share of the limits that
it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound
from easearch.selection.knapsack import Choice, planned
from easearch.selection.options import Options, Pricing


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """One rung or more of one group's ladder at a time; no guarantee but the limits. The gap is not
    known.
    """

    def select(
        self, candidates: Sequence[Candidate], graph: Graph, bounds: Sequence[Bound], step: int
    ) -> Plan:
        """A plan that keeps every bound; room left is filled.

        Raises:
            BudgetError: the network exceeds a bound before any growth.
        """
        return planned(
            candidates,
            graph,
            bounds,
            step,
            "greedy",
            lambda choices, prices: Choice(picked=climbed(choices, prices)),
        )


def climbed(choices: Options, prices: Sequence[Pricing]) -> dict[str, int]:
    """The choice at which no widening fits any more or gains anything."""
    choice = dict.fromkeys(choices, 0)
    while (wider := _best(choices, prices, choice)) is not None:
        choice = wider
    return choice


def _best(
    choices: Options, prices: Sequence[Pricing], choice: dict[str, int]
) -> dict[str, int] | None:
    now = [price.total(choice) for price in prices]
    best: dict[str, int] | None = None
    best_ratio = 0.0
    for name, ladder in choices.items():
        for k in range(choice[name] + 1, len(ladder)):
            wider = {**choice, name: k}
            if not all(price.kept(wider) for price in prices):
                continue
            then = [price.total(wider) for price in prices]
            used = max(
                (after - before) / p.bound.limit
                for after, before, p in zip(then, now, prices, strict=True)
            )
            ratio = (ladder[k].value - ladder[choice[name]].value) / max(used, 1e-9)
            if ratio > best_ratio:
                best, best_ratio = wider, ratio
    return best

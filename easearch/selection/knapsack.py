"""What every selector does: price the options, choose, fill the room that is left, say the plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound
from easearch.selection.options import Options, Pricing, filling, options, pricing
from easearch.selection.plan import check_start, plan_of


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A solver's answer: an option of every group, and what is known of it."""

    picked: dict[str, int]
    gap: float = float("inf")
    shadow_prices: Callable[[], Sequence[float]] | None = None
    """One a bound, worked out when asked; None where the solver knows none."""


Solve = Callable[[Options, Sequence[Pricing]], Choice]


def planned(
    candidates: Sequence[Candidate],
    graph: Graph,
    bounds: Sequence[Bound],
    step: int,
    solver: str,
    solve: Solve,
) -> Plan:
    """The plan of a solver: first for the gains, then for the room that they leave.

    Raises:
        BudgetError: the network exceeds a bound before any growth.
    """
    started = time.perf_counter()
    choices = options(candidates, graph, step)
    prices = [pricing(graph, choices, bound) for bound in bounds]
    check_start(choices, prices)
    best = solve(choices, prices)
    chosen = {name: choices[name][k] for name, k in best.picked.items()}
    more = filling(candidates, graph, chosen, step)
    room = [pricing(graph, more, bound) for bound in bounds]
    filled = solve(more, room).picked
    return plan_of(
        graph,
        {name: more[name][k] for name, k in filled.items()},
        prices,
        [price.total(filled) for price in room],
        gap=best.gap,
        solver=solver,
        seconds=time.perf_counter() - started,
        shadow_prices=best.shadow_prices() if best.shadow_prices else [0.0] * len(prices),
    )

"""What every selector does: price the options, choose, fill the room that is left, say the plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound, Ranges
from easearch.selection.charges import Pricing, pricing
from easearch.selection.floors import started
from easearch.selection.options import Options, options
from easearch.selection.plan import check_start, plan_of
from easearch.selection.program import Program
from easearch.selection.ranges import resolved
from easearch.selection.search import Search, by_ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """A solver's answer: an option of every group, and what is known of it.

    Attributes:
        x: numbers of the program's allowed options.
        upper: no choice is worth more; infinite where the solver knows nothing of that.
        shadow_prices: one a bound; None where the solver knows none.
    """

    x: np.ndarray
    upper: float = float("inf")
    shadow_prices: Sequence[float] | None = None


Solve = Callable[[Program, np.ndarray], Choice]
"""From a program, and a choice that keeps its limits, to a better one that does."""


def planned(
    candidates: Sequence[Candidate],
    graph: Graph,
    bounds: Sequence[Bound],
    step: int,
    ranges: Ranges | None,
    solver: str,
    solve: Solve,
    fill: Solve,
) -> Plan:
    """The plan of a solver: `solve` for the gains, `fill` for the room that they leave.

    Raises:
        BudgetError: the network exceeds a bound before any growth, or a range cannot be kept.
    """
    began = time.perf_counter()
    wanted = resolved(ranges, graph)
    choices = options(candidates, graph, step, wanted)
    prices = pricing(graph, choices, bounds)
    check_start(choices, prices)
    program, start = started(choices, prices, wanted)
    best = solve(program, start)
    picked = filled(program, program.choice(best.x), fill)
    shadow = best.shadow_prices
    if shadow is None:
        shadow = blocked(program, program.point(picked))
    return plan_of(
        graph,
        {name: choices[name][k] for name, k in picked.items()},
        prices,
        [price.total(picked) for price in prices],
        upper=best.upper + program.settled,
        solver=solver,
        seconds=time.perf_counter() - began,
        shadow_prices=shadow,
    )


def filled(program: Program, picked: Mapping[str, int], fill: Solve) -> dict[str, int]:
    """The choice with the room that it leaves used up, also by channels without gain.

    First-order gains say little about channels that come late, and room that stays empty is worth
    nothing. Widths count by their logarithm, so that room goes to all groups alike. No gain is
    given back for it, and at the end no single group can be widened within the limits.
    """
    further = _further(program.choices, program.allowed, picked)
    worth = {
        name: np.log([option.width for option in ladder])
        for name, ladder in program.choices.items()
    }
    room = Program(program.choices, program.prices, worth, further)
    search = Search(room, room.lowest())
    if search.able():  # else there is nothing to be filled
        search = Search(room, fill(room, room.lowest()).x)
        search.climb(by_ratio, wider=True)
    return room.choice(search.x)


def _further(
    choices: Options, allowed: Mapping[str, np.ndarray], picked: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The option picked, and the wider ones that gain no less."""
    return {
        name: np.array(
            [
                k
                for k in allowed[name]
                if k == picked[name] or (k > picked[name] and ladder[k].gain >= gained)
            ]
        )
        for name, ladder in choices.items()
        for gained in (ladder[picked[name]].gain,)
    }


def blocked(program: Program, x: np.ndarray) -> list[float]:
    """For every bound, the most gain for a unit of it among the widenings that it alone forbids:
    what is known of its price where no relaxation was solved.
    """
    prices: Sequence[Pricing] = program.prices
    found = [0.0] * len(prices)
    search = Search(program, x)
    gains, added = search.changes()
    over = search.used + added > program.room
    for number in range(len(prices)):
        own = program.meter == number
        held = over[:, own].any(axis=1) & ~over[:, ~own].any(axis=1) & (gains > 0)
        if held.any():
            share = added[held][:, own].max(axis=1)
            best = float((gains[held] / np.maximum(share, 1e-12)).max())
            found[number] = best / prices[number].bound.limit
    return found

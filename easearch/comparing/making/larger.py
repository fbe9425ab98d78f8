"""How the arms begin that take away: a larger uniform network, trained with half of the compute.

At the recipe's constant rate, never annealed: what is annealed first and changed then has lost its
gains (docs/methods.md, 10). The other half of the compute trains what is left, under one cosine.
"""

from __future__ import annotations

from dataclasses import replace

from easearch.comparing.arm import Setting
from easearch.comparing.making.compute_budget import ComputeBudget, TrainingState
from easearch.comparing.making.trunk import trunk_of
from easearch.graph import Graph
from easearch.preflight.uniform import widest_uniform

TIMES = 2.0
"""What the larger network may cost, over every limit: enough to choose from, and still trained for
a fair share of the epochs.
"""
SHARE = 0.5
"""Of the compute, that goes into the larger network."""


def larger(contest: Setting, purse: ComputeBudget) -> TrainingState:
    """The widest uniform network that is predicted to keep `TIMES` every limit, trained with
    `SHARE` of the compute: a warm-up, then the constant rate.

    Raises:
        BudgetError: the compute is not enough for one step.
    """
    ready = contest.ready
    bounds = [replace(bound, limit=TIMES * bound.limit) for bound in ready.bounds]
    step, ranges = ready.growing.width_step, ready.growing.widths
    wide = widest_uniform(contest.graph, bounds, step, ranges, measure=False)
    return trunk_of(contest, purse, wide.widths, SHARE)


def told(graph: Graph) -> str:
    """The larger network's widths, as a note."""
    widths = ", ".join(f"{group.name} {group.width}" for group in graph.growable)
    return f"began as a uniform network within {TIMES:g} times every limit: {widths}"

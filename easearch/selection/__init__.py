"""Which growth to buy: selectors by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from easearch.checks.batches import told
from easearch.checks.objects import check_candidates, check_graph
from easearch.errors import BudgetError, GraphError, nearest
from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Limits, Range, Ranges, Selector
from easearch.selection.duals import Duals
from easearch.selection.exact import Exact
from easearch.selection.greedy import Greedy
from easearch.selection.published import Published
from easearch.selection.ranges import resolved

SELECTORS: dict[str, Callable[..., Selector]] = {
    "exact": Exact,
    "duals": Duals,
    "greedy": Greedy,
    "published": Published,
}
"""A selector's name -> how it is made."""


def selector(name: str, **options: Any) -> Selector:
    """The selector of that name.

    Raises:
        BudgetError: no selector has this name.
    """
    if name not in SELECTORS:
        raise BudgetError(f"there is no selector '{name}'; {nearest(name, SELECTORS)}")
    return SELECTORS[name](**options)


def select(
    candidates: Sequence[Candidate],
    graph: Graph,
    budget: Limits,
    *,
    selector: str | Selector = "exact",
    width_step: int | None = None,
    widths: Ranges | None = None,
) -> Plan:
    """The growth with the largest gain that keeps every limit of the budget.

    The plan's moves are taken together by `take_step`, which finds their common step by a line
    search on the measured loss. `apply(model, graph, plan.moves)` takes each in full, and can raise
    the loss: gains of single moves do not add up.

    Args:
        candidates: from `score`.
        graph: the network as it is now; relative limits ("2.5x") are relative to it.
        budget: a `Budget`.
        selector: "exact", "duals", "greedy", "published", or one of your own.
        width_step: new widths are multiples of it; None: the device's own step, found by measuring.
        widths: floors, ceilings and locks of groups, by name or pattern:
            `{"features.3.*": Range(low=32, high=64), "stem*": Range.locked()}`.

    Raises:
        GraphError: candidates of another graph, or with gains that are not finite.
        BudgetError: the network exceeds a limit before any growth, the step is not positive, or a
            range cannot be kept.
    """
    if isinstance(candidates, Graph) and not isinstance(graph, Graph):
        raise GraphError(
            "expected candidates and then the graph, got the graph first; swap the two"
        )
    check_graph(graph)
    check_candidates(candidates, graph)
    if isinstance(budget, type) or not (hasattr(budget, "bounds") and hasattr(budget, "step")):
        raise BudgetError(
            f"expected a budget, got {told(budget)}; write "
            'ea.Budget({"latency_ms": 4.0}, device="host")'
        )
    chosen = _named(selector) if isinstance(selector, str) else selector
    step = budget.step() if width_step is None else width_step
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise BudgetError(f"expected a positive width step, got {step}")
    return chosen.select(candidates, graph, budget.bounds(graph), step, widths)


_named = selector

__all__ = [
    "SELECTORS",
    "Duals",
    "Exact",
    "Greedy",
    "Published",
    "Range",
    "resolved",
    "select",
    "selector",
]

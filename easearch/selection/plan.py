"""From a choice of widths to a plan, with its prices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.moves import Plan, Price
from easearch.selection.charges import Pricing
from easearch.selection.options import Option, Options


def check_start(choices: Options, prices: Sequence[Pricing]) -> None:
    """Refuse limits that the network exceeds before it has grown.

    Raises:
        BudgetError: with the meter, its cost now and the limit.
    """
    start = dict.fromkeys(choices, 0)
    for price in prices:
        cost, limit, meter = price.total(start), price.bound.limit, price.bound.meter
        if not price.kept(start):
            raise BudgetError(
                f"the network costs {cost:.4g} {meter.unit} of {meter.name} before any growth, "
                f"more than the limit of {limit:.4g}; raise the limit or begin with a smaller "
                "network"
            )


def plan_of(
    graph: Graph,
    picked: Mapping[str, Option],
    prices: Sequence[Pricing],
    after: Sequence[float],
    *,
    upper: float,
    solver: str,
    seconds: float,
    shadow_prices: Sequence[float],
) -> Plan:
    """The plan that takes these options; `after` is what each bound's meter says of it, and no plan
    gains more than `upper`.
    """
    gain = sum(option.gain for option in picked.values())
    start = dict.fromkeys(picked, 0)
    return Plan(
        moves=tuple(move for option in picked.values() for move in option.moves),
        gain=gain,
        widths={**graph.widths, **{name: option.width for name, option in picked.items()}},
        prices=tuple(
            Price(
                meter=price.bound.meter.name,
                unit=price.bound.meter.unit,
                before=price.total(start),
                after=cost,
                limit=price.bound.limit,
                shadow_price=shadow,
            )
            for price, cost, shadow in zip(prices, after, shadow_prices, strict=True)
        ),
        gap=_gap(gain, upper),
        solver=solver,
        seconds=seconds,
    )


def _gap(gain: float, upper: float) -> float:
    """How far the gain may be from the best possible, as a fraction of itself."""
    missing = max(upper - gain, 0.0)
    # Less than the rounding of sums in another order is nothing.
    if math.isfinite(upper) and missing <= 1e-12 * abs(upper):
        return 0.0
    return missing / gain if gain > 0 else float("inf")

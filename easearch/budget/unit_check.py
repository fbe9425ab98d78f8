"""Slips of a unit: limits that make sense a thousand times larger or smaller are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from easearch.budget.quantities import Quantity, spelled
from easearch.errors import DeviceError
from easearch.graph import Graph
from easearch.roles import Meter

SLIP = 1000.0
"""Milliseconds for seconds, kilobytes for bytes, thousands for ones."""
LEEWAY = 2.0
"""What is meant may lie a little beyond what growth reaches; a latency's staircase may be flat."""
FAR = 100.0
"""A limit so many times above what growth can reach was hardly meant."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a network can cost under one meter: from what it costs now to its widest.

    Graphs are priced when they are asked for: those far above a limit never are.
    """

    meter: Meter
    graphs: Sequence[Graph]
    """The network, then the widest that it can be after each growth, narrow to wide."""

    @cached_property
    def _costs(self) -> list[float]:
        return []

    @property
    def own(self) -> float:
        """What it costs now."""
        return self._cost(0)

    def at_least(self, value: float) -> bool:
        """Whether growth can make it cost so much."""
        return any(self._cost(number) >= value for number in range(len(self.graphs)))

    def climbed(self, value: float) -> tuple[float, bool]:
        """What growth can reach, looked at no further than `value`; whether that is the end."""
        met = self.at_least(value)
        return max(self._costs), not met or len(self._costs) == len(self.graphs)

    def _cost(self, number: int) -> float:
        while len(self._costs) <= number:
            self._costs.append(self._priced(len(self._costs)))
        return self._costs[number]

    def _priced(self, number: int) -> float:
        try:
            return self.meter.cost(self.graphs[number]).total
        except DeviceError:
            # Beyond the network itself a device known by its table alone may know no more.
            if number == 0:
                raise
            return max(self._costs)


def slip(quantity: Quantity, limit: float, reach: Reach) -> str | None:
    """The question to a user who wrote another unit than they meant; None where nothing is odd.

    A limit is odd when it lies below the network's own cost, or a hundred times above what growth
    can reach, and a thousand times as much, or as little, is about what growth can fill. A value
    that carries its unit is taken at its word.
    """
    if quantity.literal:
        return None
    unit = reach.meter.unit
    if limit < reach.own:
        meant = limit * SLIP
        if meant < reach.own or (len(reach.graphs) > 1 and not reach.at_least(meant / LEEWAY)):
            return None
        return (
            f"{quantity.key}: {quantity.text} is below the seed's own "
            f"{spelled(reach.own, unit, 3)}; was {spelled(meant, unit)} meant? "
            f"Write {reach.meter.name}: '{spelled(meant, unit)}' if so, or raise the limit"
        )
    meant = limit / SLIP
    if len(reach.graphs) < 2 or meant < reach.own or reach.at_least(limit / FAR):
        return None
    top, _ = reach.climbed(limit)
    if meant > LEEWAY * top:
        return None
    return (
        f"{quantity.key}: {quantity.text} is {limit / top:,.0f} times what growth can reach here, "
        f"{spelled(top, unit, 3)}; was {spelled(meant, unit)} meant? "
        f"Write {reach.meter.name}: '{spelled(meant, unit)}' if so, or '{spelled(limit, unit)}' to "
        "be taken at your word"
    )

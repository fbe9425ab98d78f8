"""The budget: hard limits on several meters, on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from easearch.budget.devices import check_device
from easearch.budget.latency.step import find_step
from easearch.budget.meters import METERS, find_meter, load_plugins
from easearch.budget.quantities import UNITS, Quantity, parse
from easearch.errors import BudgetError, nearest
from easearch.graph import Graph
from easearch.roles import Bound, Meter


@dataclass(frozen=True)
class Budget:
    """Limits that a network must not exceed: `Budget({"latency_ms": 4.0, "params": "200k"})`.

    Args:
        limits: by meter. The unit stands in the key (`latency_ms`, `memory_kb`) or in the value
            (`"4 ms"`, `"12M"`); `"2.5x"` is a multiple of the seed's own cost. KB are 1,000 bytes,
            KiB 1,024.
        device: where the network will run.

    Raises:
        BudgetError: an unknown limit or device, a wrong unit, a value that is not positive.
    """

    limits: Mapping[str, float | str | int]
    device: str = "host"
    quantities: Mapping[str, Quantity] = field(init=False, repr=False, compare=False)
    """Meter name -> the limit as understood."""

    def __post_init__(self) -> None:
        """Read every limit now, so that a mistake shows before anything is measured."""
        check_device(self.device)
        found: dict[str, Quantity] = {}
        for key, value in self.limits.items():
            name, unit = _meter_of(key)
            if name in found:
                raise BudgetError(f"{key}: {name} has two limits; keep one")
            found[name] = parse(key, value, _unit_of(name), unit)
        if not found:
            raise BudgetError("expected at least one limit, such as {'latency_ms': 4.0}, got none")
        object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))
        object.__setattr__(self, "quantities", MappingProxyType(found))

    def __reduce__(self) -> tuple[type[Budget], tuple[dict[str, float | str | int], str]]:
        """Copy by value: the read-only views are made anew."""
        return (Budget, (dict(self.limits), self.device))

    def bounds(self, graph: Graph) -> tuple[Bound, ...]:
        """The limits as bounds, relative ones resolved against `graph`, the seed.

        Raises:
            BudgetError: the graph itself is above a limit.
            DeviceError: its latency cannot be measured.
        """
        return tuple(
            _bound(find_meter(name, self.device), quantity, graph)
            for name, quantity in self.quantities.items()
        )

    def step(self) -> int:
        """The step of widths that the device likes (measured once)."""
        return find_step(self.device)


def known_limits() -> list[str]:
    """Every key that a budget takes."""
    load_plugins()
    keys = list(METERS)
    for name in METERS:
        keys += [f"{name}_{unit}" for unit in UNITS.get(_unit_of(name), {}) if unit.isascii()]
    return keys


def _meter_of(key: str) -> tuple[str, str | None]:
    known = known_limits()
    if key not in known:
        raise BudgetError(f"unknown limit '{key}'; {nearest(str(key), known)}")
    if key in METERS:
        return key, None
    name, _, unit = key.rpartition("_")
    return name, unit


def _unit_of(name: str) -> str:
    return str(getattr(METERS[name], "unit", name))


def _bound(priced: Meter, quantity: Quantity, graph: Graph) -> Bound:
    own = priced.cost(graph).total
    limit = quantity.value * own if quantity.relative else quantity.value
    if limit < own:
        raise BudgetError(
            f"the limit {priced.name} {limit:.4g} {priced.unit} is below the seed's own "
            f"{own:.4g} {priced.unit}; raise the limit or begin with a smaller seed"
        )
    return Bound(meter=priced, limit=limit)

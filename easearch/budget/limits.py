"""The budget: hard limits on several meters, on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from easearch.budget.devices import check_device
from easearch.budget.latency.models import reason
from easearch.budget.latency.step import find_step
from easearch.budget.meters import METERS, check_precision, find_meter, load_plugins
from easearch.budget.meters.meter import LayerMeter
from easearch.budget.quantities import UNITS, Quantity, parse, spelled
from easearch.budget.time_cap import TimeCap
from easearch.budget.unit_check import Reach, slip
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
        precision: in which numbers, one of `PRECISIONS`.

    Raises:
        BudgetError: an unknown limit, device or precision, a wrong unit, a value that is not
            positive.
    """

    limits: Mapping[str, float | str | int]
    device: str = "host"
    precision: str = "fp32"
    quantities: Mapping[str, Quantity] = field(init=False, repr=False, compare=False)
    """Meter name -> the limit as understood."""

    def __post_init__(self) -> None:
        """Read every limit now, so that a mistake shows before anything is measured."""
        check_device(self.device)
        check_precision(self.precision)
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

    def __reduce__(self) -> tuple[type[Budget], tuple[dict[str, float | str | int], str, str]]:
        """Copy by value: the read-only views are made anew."""
        return (Budget, (dict(self.limits), self.device, self.precision))

    def bounds(
        self, graph: Graph, wider: Sequence[Graph] = (), cap: TimeCap | None = None
    ) -> tuple[Bound, ...]:
        """The limits as bounds, relative ones resolved against `graph`, the seed.

        Args:
            graph: the seed.
            wider: the widest that it can be after each growth, where that is known: limits that
                were written in another unit than meant then show.
            cap: on the time that is measured; past it operators are estimated.

        Raises:
            BudgetError: the graph itself is above a limit, a limit is off by a thousand, or a meter
                cannot price a layer.
            DeviceError: its latency cannot be measured.
        """
        bounds, missed = [], []
        for name, quantity in self.quantities.items():
            meter = find_meter(name, self.device, self.precision, cap)
            try:
                _check_whole(meter, graph)
                bounds.append(_bound(quantity, Reach(meter=meter, graphs=(graph, *wider))))
            except BudgetError as error:
                missed.append(str(error))
        if missed:
            raise BudgetError("; ".join(missed))
        return tuple(bounds)

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


def _check_whole(meter: Meter, graph: Graph) -> None:
    """Refuse a limit of which a part would never be counted."""
    blind = meter.uncounted(graph) if isinstance(meter, LayerMeter) else ()
    if blind:
        more = f" and {len(blind) - 1} more" if len(blind) > 1 else ""
        raise BudgetError(
            f"{meter.name}: the limit cannot be kept, because what the layer '{blind[0]}'{more} "
            f"takes of it is not known ({reason(graph, blind[0])}); limit params or size, or write "
            "the layer with operations that easearch knows"
        )


def _bound(quantity: Quantity, reach: Reach) -> Bound:
    """The limit as a bound; one that the seed exceeds, or that is off by a thousand, is refused."""
    own, meter = reach.own, reach.meter
    limit = quantity.value * own if quantity.relative else quantity.value
    asked = slip(quantity, limit, reach)
    if asked is not None:
        raise BudgetError(asked)
    if limit < own:
        raise BudgetError(
            f"the limit {meter.name} {spelled(limit, meter.unit, 4)} is below the seed's own "
            f"{spelled(own, meter.unit, 4)}; raise the limit or begin with a smaller seed"
        )
    return Bound(meter=meter, limit=limit)

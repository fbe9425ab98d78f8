"""What a network costs under several meters: a table with a row a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easearch.budget.meters import find_meter
from easearch.budget.meters.meter import WHOLE, LayerMeter
from easearch.checks.objects import check_graph
from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.roles import Cost
from easearch.table import aligned, folded, wrapped

ALL = ("macs", "params", "memory", "latency")
NOTE = 80
"""Columns of a note, where nobody says how wide the table may be."""
PLACES = {"ms": 4, "uJ": 3}
"""Decimal places of units whose numbers are fractions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CostTable(Mapping[str, Cost]):
    """Costs by meter name; `rows` holds a dict a layer, `str()` is a table for people."""

    graph: Graph
    costs: Mapping[str, Cost]
    uncounted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Meter name -> the layers that it could not price."""

    def __getitem__(self, name: str) -> Cost:
        """The cost under one meter."""
        return self.costs[name]

    def __iter__(self) -> Iterator[str]:
        """The meters' names."""
        return iter(self.costs)

    def __len__(self) -> int:
        """How many meters."""
        return len(self.costs)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dict a layer: name, kind, channels in and out, a number a meter; overheads last."""
        rows = [self._row(layer.name) for layer in self.graph.layers]
        if any(WHOLE in cost.rows for cost in self.costs.values()):
            rows.append({"layer": WHOLE, "kind": "", "in": None, "out": None, **self._costs(WHOLE)})
        return rows

    def _row(self, name: str) -> dict[str, Any]:
        shape = self.graph.shape(name)
        channels = {"in": shape.in_channels, "out": shape.out_channels}
        return {"layer": name, "kind": shape.kind, **channels, **self._costs(name)}

    def _costs(self, row: str) -> dict[str, float]:
        return {name: cost.rows.get(row, 0.0) for name, cost in self.costs.items()}

    def __str__(self) -> str:
        """An aligned table: a row a layer, the total, what was not counted and how it is known."""
        return "\n".join(self.lines())

    def lines(self, width: int | None = None) -> list[str]:
        """The same as lines, folded to so many columns; None: as wide as it takes."""
        heads = [f"{name} ({cost.unit})" for name, cost in self.costs.items()]
        totals = {name: cost.total for name, cost in self.costs.items()}
        rows = [["layer", "kind", "in", "out", *heads]]
        for row in [*self.rows, {"layer": "total", "kind": "", "in": None, "out": None, **totals}]:
            channels = ["" if row[end] is None else str(row[end]) for end in ("in", "out")]
            numbers = [_number(row[name], self.costs[name].unit) for name in self.costs]
            rows.append([row["layer"], row["kind"], *channels, *numbers])
        notes = [
            f"not counted in {name}: {', '.join(layers)}"
            for name, layers in self.uncounted.items()
            if layers
        ]
        notes += [
            f"{name}: expected within {100 * cost.interval:.1f} % (95 %)"
            for name, cost in self.costs.items()
            if cost.interval is not None
        ]
        notes += [f"{name}: {cost.note}" for name, cost in self.costs.items() if cost.note]
        told = [line for note in notes for line in wrapped(note, width or NOTE)]
        table = aligned(rows, 2) if width is None else folded(rows, width, 2)
        if table[1].startswith("--"):  # a table, no paragraphs: a rule above the total
            table.insert(-1, table[1])
        return [*table, *told]


def measure(
    graph: Graph,
    meters: Sequence[str] = ALL,
    device: str = "host",
    precision: str = "fp32",
) -> CostTable:
    """What the graph costs, layer by layer.

    Args:
        graph: the network.
        meters: names in `METERS`.
        device: where latency and energy are measured.
        precision: in which numbers the network will be executed, "fp32" or "int8".

    Raises:
        BudgetError: an unknown meter, device or precision.
        DeviceError: the latency of a layer cannot be measured.
    """
    check_graph(graph, kind=BudgetError)
    chosen = [find_meter(name, device, precision) for name in meters]
    return CostTable(
        graph=graph,
        costs={one.name: one.cost(graph) for one in chosen},
        uncounted={one.name: one.uncounted(graph) for one in chosen if isinstance(one, LayerMeter)},
    )


def _number(value: float, unit: str) -> str:
    return (
        f"{value:,.{PLACES[unit]}f}"
        if unit in PLACES
        else f"{value:,.0f}"
        if value == int(value)
        else f"{value:.4g}"
    )

"""What meters have in common: the cost table follows from moments, charges and overhead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from easearch.budget.latency.kernels import shapes_of
from easearch.graph import Graph, Shape
from easearch.roles import Cost, Item
from easearch.tracing.walk import OPAQUE

if TYPE_CHECKING:
    from easearch.budget.exported.file import OnnxFile

WHOLE = "(whole network)"
"""The row of a cost table that holds the overhead."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a meter found on an exported file: value (None: cannot be had), noise, remark."""

    value: float | None
    noise: float = 0.0
    note: str = ""


class LayerMeter(ABC):
    """Prices a graph by its layers.

    Law: `cost(g).total == overhead(g) + max over moments of sum(charges(g, shapes of the items))`.
    """

    name: ClassVar[str]
    unit: ClassVar[str]

    @abstractmethod
    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """The items that are paid for together, a sequence a moment. Does not depend on widths."""

    @abstractmethod
    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> Sequence[float]:
        """What each item costs by itself, in `unit`, at the shapes given.

        Args:
            graph: a network of the same structure; its widths do not count.
            items: the shapes of the layers of each item.
        """

    def overhead(self, graph: Graph) -> float:
        """What a network of this structure costs whatever its widths."""
        return 0.0

    def uncounted(self, graph: Graph) -> tuple[str, ...]:
        """The layers that this meter cannot price: the total is without them."""
        return tuple(layer.name for layer in graph.layers if layer.kind == OPAQUE)

    def on_file(self, file: OnnxFile) -> Reading:
        """The same quantity, found on an exported file instead of the graph."""
        return Reading(value=None, note=f"the meter '{self.name}' cannot read files")

    def cost(self, graph: Graph) -> Cost:
        """The table: a row a layer (an item is billed to its first), and the total."""
        rows = {layer.name: 0.0 for layer in graph.layers}
        for item, charge in self._dearest(graph):
            rows[item[0]] += charge
        overhead = self.overhead(graph)
        if overhead:
            rows[WHOLE] = overhead
        return Cost(
            meter=self.name,
            unit=self.unit,
            rows=rows,
            interval=self.interval(graph),
            note=self.note(graph),
        )

    def interval(self, graph: Graph) -> float | None:
        """Relative half width of the prediction (95 %); None: what is counted is no prediction."""
        return None

    def note(self, graph: Graph) -> str:
        """How the numbers are known, where that is not plain."""
        return ""

    def _dearest(self, graph: Graph) -> list[tuple[Item, float]]:
        moments = self.moments(graph)
        items = list(dict.fromkeys(item for moment in moments for item in moment))
        charges = self.charges(graph, [shapes_of(graph, item) for item in items])
        price = dict(zip(items, charges, strict=True))
        bills = [[(item, price[item]) for item in moment] for moment in moments]
        return max(bills, key=lambda bill: sum(charge for _, charge in bill), default=[])


class KindMeter(LayerMeter):
    """A meter that adds up a number which each kind of layer knows of itself."""

    def __init__(self, device: str = "host") -> None:
        """Take `device` so that all meters are made alike: counting needs none."""

    @abstractmethod
    def count(self, shape: Shape) -> int:
        """The number of one layer. Zero at some widths means zero at all."""

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every layer that counts, by itself."""
        return (
            tuple((layer.name,) for layer in graph.layers if self.count(graph.shape(layer.name))),
        )

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """The counts of the layers of each item."""
        return [float(sum(self.count(shape) for shape in item)) for item in items]

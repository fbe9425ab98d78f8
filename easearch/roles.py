"""The parts that can be exchanged: what a criterion, a meter, a selector and an exporter must
offer.

Growth receives them as arguments typed by these protocols; none of them knows the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from easearch.errors import BudgetError
from easearch.graph import Graph, Shape
from easearch.moves import Candidate, Plan

Loss = Callable[[Any, Any], Tensor]
Worths = Mapping[str, Tensor]
"""Group -> (C,), what each of its channels is worth (nats)."""
"""`loss(outputs, targets)` -> the mean over the samples, a scalar (nats)."""

Batches = Iterable[tuple[Any, Any]]
"""(inputs, targets), iterated more than once: every pass must give the same batches."""

PRECISIONS = ("fp32", "int8")
"""In which numbers a network is executed; int8 is quantized ahead, with float32 where it must."""

Item = tuple[str, ...]
"""Layers that are billed as one (a convolution with the activation that the runtime fuses into it).
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network costs under one meter: a row a layer, and the total. The rows sum to the
    total.
    """

    meter: str
    unit: str
    rows: Mapping[str, float]
    interval: float | None = None
    """Relative half width within which the truth is expected (95 %); None: nothing is predicted."""
    note: str = ""
    """How the numbers are known, where that is not plain: measured, modelled, from which source."""

    @property
    def total(self) -> float:
        """The whole network's cost, in `unit`."""
        return float(sum(self.rows.values()))


class Meter(Protocol):
    """Prices a graph.

    The cost of a network is the dearest *moment*; a moment's cost is the overhead plus the sum of
    the charges of its items. Additive meters have one moment; peak memory has one for each step of
    the execution. Law: for every graph `cost(g).total == overhead(g) + max over moments of
    sum(charges(graph, shapes of the items))`.
    """

    @property
    def name(self) -> str:
        """The name used in budgets and tables."""

    @property
    def unit(self) -> str:
        """The unit of every number."""

    def cost(self, graph: Graph) -> Cost:
        """The table: a row a layer, and the total."""

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """The items that are paid for together, a sequence a moment. Does not depend on widths."""

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> Sequence[float]:
        """What each item costs by itself, at the shapes given, in networks of this structure."""

    def overhead(self, graph: Graph) -> float:
        """What a network of this structure costs whatever its widths."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One limit: a meter and the value, in the meter's unit, that must not be exceeded."""

    meter: Meter
    limit: float


@dataclass(frozen=True, kw_only=True)
class Range:
    """The widths that a channel group may take: a floor, a ceiling, or just the present width.

    Attributes:
        low: channels at least; None: no floor.
        high: channels at most; None: no ceiling.
        fixed: the width stays what it is.
        firm: whether a floor that cannot be reached is an error; if not, the group goes towards it
            as far as candidates and limits allow.

    Raises:
        BudgetError: a width below 1, a floor above the ceiling, or a locked group with either.
    """

    low: int | None = None
    high: int | None = None
    fixed: bool = False
    firm: bool = True

    def __post_init__(self) -> None:
        """Refuse what no width can keep."""
        for word, width in (("floor", self.low), ("ceiling", self.high)):
            if width is not None and (isinstance(width, bool) or width != int(width) or width < 1):
                raise BudgetError(
                    f"expected a {word} of 1 channel or more, a whole number, got {width}"
                )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise BudgetError(
                f"expected a floor that is not above the ceiling, got a floor of {self.low} and a "
                f"ceiling of {self.high}"
            )
        if self.fixed and (self.low, self.high) != (None, None):
            raise BudgetError(
                "expected a locked width or a floor and a ceiling, got both; a locked group stays "
                "as wide as it is"
            )

    @classmethod
    def locked(cls) -> Range:
        """The group stays as wide as it is."""
        return cls(fixed=True)


Ranges = Mapping[str, Range]
"""Channel groups by name or pattern (`features.3.*`) -> the widths that they may take. Where
several patterns match a group the later ones count, field by field.
"""


class Limits(Protocol):
    """What a selector needs of a budget."""

    def bounds(self, graph: Graph) -> Sequence[Bound]:
        """Every limit, with the meter that watches it; relative ones are relative to this graph."""

    def step(self) -> int:
        """The step on which the device's latency depends on widths."""


class Criterion(Protocol):
    """Says what growth would be worth, candidate by candidate. The model is left bit-identical."""

    def score(
        self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss
    ) -> list[Candidate]:
        """All candidates, best first; gains in nats of the mean loss."""


class Selector(Protocol):
    """Chooses the growth that the bounds allow. A plan never exceeds a bound under its meter."""

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """The plan; new widths are multiples of `step` and within the ranges.

        Raises:
            BudgetError: the network exceeds a bound before any growth, or a range cannot be kept.
        """


class Exporter(Protocol):
    """Writes a model to a file that a runtime can execute, and proves that it computes the same."""

    def __call__(self, model: nn.Module, sample: Tensor, path: Path) -> float:
        """Write the file; return the largest relative difference of outputs that was seen."""

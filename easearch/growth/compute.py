"""How much a run has computed, in multiply-adds: training, scoring and searching."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from torch.utils.flop_counter import FlopCounterMode

from easearch.graph import Graph
from easearch.tracing import KINDS


@dataclass
class Work:
    """Multiply-adds of one piece of work."""

    macs: float = 0.0


class _Nowhere:
    """In place of the counter's tracker of modules: it hooks into gradients, which fails where a
    module is given a tensor that a gradient ends in, and only totals are wanted.
    """

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Nothing is tracked."""

    def __exit__(self, *_: object) -> None:
        """Nothing was."""


@contextmanager
def counted() -> Iterator[Work]:
    """Count the multiply-adds of every convolution and matrix product inside, in all passes."""
    work = Work()
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _Nowhere()  # type: ignore[assignment]
    with counter:
        yield work
    work.macs = counter.get_total_flops() / 2


@dataclass
class Compute:
    """Multiply-adds of a run by purpose. A training step is charged as three forward passes."""

    training: float = 0.0
    scoring: float = 0.0
    search: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.training + self.scoring + self.search

    def as_dict(self) -> dict[str, float]:
        """By purpose, and the total."""
        return {**asdict(self), "total": self.total}

    @staticmethod
    def macs_of(graph: Graph) -> int:
        """Multiply-adds of one sample's forward pass."""
        shapes = [graph.shape(layer.name) for layer in graph.layers if layer.kind in KINDS]
        return sum(KINDS[shape.kind].macs(shape) for shape in shapes)

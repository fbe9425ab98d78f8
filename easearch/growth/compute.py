"""How much a run has computed, in multiply-adds: training, scoring and searching."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
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


def _backward(
    grad_out: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    """FLOPs of a convolution's backward pass: for each of the two gradients what forward took.

    Torch's own formula takes no notice of groups: 33 times too much for 32 depthwise channels.
    """
    positions = math.prod((x if transposed else grad_out)[2:])
    return 2 * math.prod(weight) * positions * grad_out[0] * sum(map(bool, wanted[:2]))


@contextmanager
def counted() -> Iterator[Work]:
    """Count the multiply-adds of every convolution and matrix product inside, in all passes."""
    work = Work()
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward}
    )
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

"""What one growth does: new layers that the limits leave room for, and the plan of widths of the
network that has them.

Layers come first and widths after them, so that a plan is priced on the network that it makes, and
a channel that a new layer reads or writes is split there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from torch import nn
from torch.optim import Optimizer

from easearch.errors import DeviceError, GraphError
from easearch.graph import Graph
from easearch.growth.surgery import apply
from easearch.moves import Candidate, Plan
from easearch.roles import Bound


@dataclass(frozen=True, kw_only=True, eq=False)
class Growth:
    """New layers, and the plan of widths on the graph that has them.

    Attributes:
        layers: candidates whose moves are new layers, in the order in which they are put in.
        deep: the graph with them in it.
        plan: of the widths; its moves refer to `deep`.
    """

    layers: tuple[Candidate, ...]
    deep: Graph
    plan: Plan

    @property
    def gain(self) -> float:
        """What widths and layers promise (nats)."""
        return self.plan.gain + sum(one.gain for one in self.layers)

    @property
    def empty(self) -> bool:
        """Whether nothing grows."""
        return not self.plan.moves and not self.layers

    def __str__(self) -> str:
        """`24 channels, 1 new layer`."""
        told = f"{len(self.plan.moves)} channels"
        if self.layers:
            told += f", {len(self.layers)} new layer{'s' if len(self.layers) > 1 else ''}"
        return told

    @overload
    def of(self, model: nn.Module, graph: Graph, factor: float) -> nn.Module: ...
    @overload
    def of(
        self, model: nn.Module, graph: Graph, factor: float, optimizer: Optimizer
    ) -> tuple[nn.Module, Optimizer]: ...
    def of(
        self, model: nn.Module, graph: Graph, factor: float, optimizer: Optimizer | None = None
    ) -> nn.Module | tuple[nn.Module, Optimizer]:
        """The grown model at `factor` times the step; the given one stays as it was."""
        layers = [one.move.scaled(factor) for one in self.layers]
        moves = [move.scaled(factor) for move in self.plan.moves]
        if optimizer is None:
            deeper = apply(model, graph, layers) if layers else model
            return apply(deeper, self.deep, moves)
        if layers:
            model, optimizer = apply(model, graph, layers, optimizer)
        return apply(model, self.deep, moves, optimizer)


def affordable(
    layers: Sequence[Candidate], graph: Graph, bounds: Sequence[Bound], most: int
) -> tuple[tuple[Candidate, ...], Graph]:
    """At most so many layers, best first, that gain something and leave every limit kept; and the
    graph with them in it.
    """
    chosen: list[Candidate] = []
    deep = graph
    for one in sorted(layers, key=lambda candidate: -candidate.gain):
        if len(chosen) == most or one.gain <= 0:
            break
        try:
            deeper = deep.after([one.move])
            fits = all(b.meter.cost(deeper).total <= b.limit for b in bounds)
        except (GraphError, DeviceError):  # its place is taken, or it has no price on the device
            continue
        if fits:
            chosen.append(one)
            deep = deeper
    return tuple(chosen), deep

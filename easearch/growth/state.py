"""What changes while a network grows, and a clock for what it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.optim import Optimizer

from easearch.graph import Graph
from easearch.growth.checked import trace
from easearch.growth.surgery import apply
from easearch.growth.training import Training


@dataclass
class State:
    """Everything that changes while a network grows; a copy of it is a point to come back to."""

    model: nn.Module
    graph: Graph
    optimizer: Optimizer
    epoch: int = 0
    """Passes over the data that are done."""
    stage: int = 0
    batches: int = 0
    """Batches trained on, of the row that a seed has (`easearch.growth.stream`)."""
    spent: float = 0.0
    """Multiply-adds on the run's clock when this state was copied."""

    def copied(self) -> State:
        """An independent copy; model and optimizer stay tied to each other."""
        model, optimizer = apply(self.model, self.graph, [], self.optimizer)
        return replace(self, model=model, optimizer=optimizer)


def begin(model: nn.Module, sample: Tensor, training: Training) -> State:
    """The state of a seed before its first epoch."""
    return State(model=model, graph=trace(model, sample), optimizer=training.optimizer(model))


class Clock:
    """Wall-clock by laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Seconds since the last lap go to this name."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

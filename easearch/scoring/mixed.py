"""Splits and new neurons in one list: the finite-step gain is the currency of both."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from easearch.graph import Graph
from easearch.roles import Batches, Loss
from easearch.scoring.neurons import Neurons
from easearch.scoring.scores import Scores
from easearch.scoring.splitting import Splitting


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """The splits of `Splitting` and the new neurons of `Neurons`, scored on the same batches.

    Attributes:
        step: of both; a split's is the displacement of its offspring, a neuron's the length of its
            columns, each relative to what is typical of the group.
        crossfit: directions from every other batch, gains from the rest; False: both from all.
        memory: bytes that may be kept of the batches between passes over them.
        seed: of both.
    """

    step: float = 0.05
    crossfit: bool = True
    memory: float = 768e6
    seed: int = 0

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """All candidates, best first. Of the two criteria the lower of what they say of themselves
        is told, and of the groups those in which neither has anything.
        """
        splits, neurons = (
            kind(step=self.step, crossfit=self.crossfit, memory=self.memory, seed=self.seed).score(
                model, graph, batches, loss
            )
            for kind in (Splitting, Neurons)
        )
        return Scores(
            [*splits, *neurons],
            images=max(splits.images, neurons.images),
            held_out=_lower(splits.held_out, neurons.held_out),
            rank_correlation=_lower(splits.rank_correlation, neurons.rank_correlation),
            nothing={
                name: f"{reason}; {neurons.nothing[name]}"
                for name, reason in splits.nothing.items()
                if name in neurons.nothing
            },
        )


def _lower(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)

"""The simplest criterion: random directions, random gains. What every other must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from easearch.graph import Graph
from easearch.moves import Candidate, Split
from easearch.roles import Batches, Loss
from easearch.scoring.scores import Scores
from easearch.scoring.units.scope import owned


@dataclass(frozen=True, kw_only=True)
class Random:
    """Splits every channel along a random direction; the gain is uniform in (0, 1) millinats.

    Attributes:
        step: length of the displacement, relative to the norm of what the channel owns.
        seed: of directions and gains.
        crossfit: accepted like every criterion's, and without effect: no batch is looked at.
    """

    step: float = 0.05
    seed: int = 0
    crossfit: bool = True

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """A split of every channel of every growable group, best first."""
        generator = torch.Generator().manual_seed(self.seed)
        found = []
        for group in graph.growable:
            rows = owned(model, graph, group)
            if not rows.slots:
                continue
            theta = rows.theta
            direction = torch.randn(theta.shape, generator=generator, dtype=torch.float64)
            direction = (direction / direction.norm(dim=1, keepdim=True)).to(theta)
            offsets = self.step * theta.norm(dim=1, keepdim=True) * direction
            gains = 1e-3 * torch.rand(group.width, generator=generator, dtype=torch.float64)
            for channel, (row, gain) in enumerate(zip(offsets, gains.tolist(), strict=True)):
                halves = (rows.offset(row), rows.offset(-row))
                move = Split(group=group.name, channel=channel, offsets=halves)
                found.append(Candidate(move=move, gain=gain))
        return Scores(found)

"""Net2WiderNet: random channels are copied, and their columns shared out among the copies.

Every new channel copies one that is drawn at random, with replacement; of a channel that then has m
copies each reader column is divided by m, so that the function stays; a little noise on the copies
(not on the original) breaks the symmetry [Chen2016, Net2WiderNet]. The paper has no score: which
channels are copied is chance. The gains here are random numbers that put the candidates in a random
order, and are no promise.

[Chen2016] Chen, Goodfellow, Shlens. Net2Net: Accelerating Learning via Knowledge Transfer. ICLR
2016, arXiv:1511.05641.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.moves import Candidate, Split
from easearch.roles import Batches, Loss
from easearch.scoring.scores import Scores
from easearch.scoring.units.scope import owned


@dataclass(frozen=True, kw_only=True)
class Net2Net:
    """Copies of random channels, in a random order.

    Attributes:
        noise: standard deviation of the copies' noise, relative to the root of the mean square of
            what the channel owns.
        count: copies a group; None: as many as it is wide.
        seed: of channels, noise and order.
        crossfit: accepted like every criterion's, and without effect: no batch is looked at.
    """

    noise: float = 0.01
    count: int | None = None
    seed: int = 0
    crossfit: bool = True

    def __post_init__(self) -> None:
        """Refuse what no copies can be made with."""
        if not 0 <= self.noise < math.inf:
            raise ScoringError(f"expected noise of 0 or more, got {self.noise}")
        if self.count is not None and self.count < 1:
            raise ScoringError(f"expected a count of 1 copy a group or more, got {self.count}")

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """A split in m equal shares of every channel that is drawn; the gain of each of its copies
        is uniform in (0, 1) millinats.
        """
        generator = torch.Generator().manual_seed(self.seed)
        found = []
        for group in graph.growable:
            rows = owned(model, graph, group)
            if not rows.slots:
                continue
            theta = rows.theta
            size = (self.count or group.width,)
            drawn = Counter(torch.randint(group.width, size, generator=generator).tolist())
            for channel, copies in sorted(drawn.items()):
                shape = (copies, theta.shape[1])
                noise = torch.randn(shape, generator=generator, dtype=torch.float64).to(theta)
                noise *= self.noise * theta[channel].square().mean().sqrt()
                shares = (1 / (copies + 1),) * (copies + 1)
                offsets = ({}, *(rows.offset(row) for row in noise)) if self.noise else ()
                gain = torch.rand(copies, generator=generator, dtype=torch.float64).sum()
                move = Split(group=group.name, channel=channel, shares=shares, offsets=offsets)
                found.append(Candidate(move=move, gain=1e-3 * float(gain)))
        return Scores(found)

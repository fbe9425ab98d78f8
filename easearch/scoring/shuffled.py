"""The placebo: a real criterion's candidates with its gains dealt out at random among them.

Directions stay, and so does the distribution of gains; only which channel is worth what is lost. A
criterion earns its keep by what it does better than this (docs/methods.md, 10).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from easearch.graph import Graph
from easearch.roles import Batches, Criterion, Loss, Worths
from easearch.scoring.scores import Scores
from easearch.scoring.splitting import Splitting


def dealt(worths: Worths, seed: int) -> dict[str, Tensor]:
    """What channels are worth, dealt out at random among the channels of all groups.

    Args:
        worths: group -> (C,).
        seed: of the order.
    """
    every = torch.cat(list(worths.values()))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(every), generator=generator).to(every.device)
    sizes = [len(one) for one in worths.values()]
    return dict(zip(worths, torch.split(every[order], sizes), strict=True))


@dataclass(frozen=True, kw_only=True)
class Shuffled:
    """`of`'s candidates; the gains, with their intervals, in an order drawn from `seed`."""

    of: Criterion = field(default_factory=Splitting)
    seed: int = 0

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """The same moves, best first by gains that are not theirs."""
        found = self.of.score(model, graph, batches, loss)
        generator = torch.Generator().manual_seed(self.seed)
        dealt = torch.randperm(len(found), generator=generator).tolist()
        return Scores(
            replace(one, gain=found[other].gain, interval=found[other].interval)
            for one, other in zip(found, dealt, strict=True)
        ).like(found)

"""Samples before steps: how many a scoring takes.

A direction found on few samples is noise (docs/methods.md, 5). "auto" begins with some, and takes
twice as many as long as unseen samples show less than 0.8 of the gain that is claimed, or their
halves rank the candidates differently (Spearman below 0.9), until the data ends. All that costs
less than twice the last scoring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from easearch.checks.batches import checked, samples_in
from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.moves import Candidate
from easearch.roles import Batches, Criterion, Loss
from easearch.scoring.samples.batches import First
from easearch.scoring.samples.shards import alone, total

FIRST = 1024
"""Samples that "auto" begins with."""
Images = int | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class AdaptiveSampleSize:
    """A criterion on as many samples as wanted: so many, over all ranks, or "auto".

    Samples come in the order of the batches: shuffle them first.

    Attributes:
        of: the criterion.
        images: samples.
        told: called with the outcome of every attempt that was not enough.
    """

    of: Criterion
    images: Images = "auto"
    told: Callable[[list[Candidate]], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no number of samples."""
        if self.images != "auto" and (isinstance(self.images, str) or self.images < 1):
            raise ScoringError(f"expected images to be 'auto' or 1 or more, got {self.images!r}")

    def score(
        self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss
    ) -> list[Candidate]:
        """The criterion's candidates on that many samples."""
        checked(batches)
        ranks = 1 if alone() else dist.get_world_size()
        wanted = FIRST if self.images == "auto" else self.images
        while True:
            own = First(batches, math.ceil(wanted / ranks))
            found = self.of.score(model, graph, own, loss)
            if self.images != "auto" or getattr(found, "held_out", None) is None:
                return found
            if getattr(found, "stable", True) or not self._more(batches, wanted // ranks):
                return found
            if self.told is not None:
                self.told(found)
            wanted *= 2

    @staticmethod
    def _more(batches: Batches, samples: int) -> bool:
        """Whether any rank has more samples than so many."""
        seen, device = 0, torch.device("cpu")
        for inputs, targets in batches:
            seen += samples_in(inputs, targets)
            device = next((t.device for t in (inputs, targets) if isinstance(t, Tensor)), device)
            if seen > samples:
                break
        return total(seen > samples, device) > 0

"""New neurons that nobody reads yet, worth nothing: how many come in is left to the floors.

No batch is looked at, and the function stays: nothing is to be found out, no step to be searched.
With floors at the uniform widths (`growth.even: 1.0`) this grows a network evenly, for the price of
training it. In reports/growth-study no score was ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easearch.errors import ScoringError
from easearch.graph import ChannelGroup, Graph
from easearch.moves import Candidate, NewNeuron
from easearch.roles import Batches, Loss
from easearch.scoring.scores import Scores
from easearch.scoring.units.rows import Rows
from easearch.scoring.units.scope import subgraph
from easearch.tracing import KINDS

LESS = -1e-9
"""Nats: less than nothing, so that selection leaves alone what room there is beyond the floors."""


@dataclass(frozen=True, kw_only=True)
class Unscored:
    """Silent newborns of every growable group.

    Attributes:
        count: newborns a group; None: as many as it is wide.
        seed: of the rows, drawn anew for other widths.
        crossfit: accepted like every criterion's, and without effect.
    """

    count: int | None = None
    seed: int = 0
    crossfit: bool = True

    def __post_init__(self) -> None:
        """Refuse what no newborns can be made with."""
        if self.count is not None and self.count < 1:
            raise ScoringError(f"expected a count of 1 newborn a group or more, got {self.count}")

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """Newborns of every group, their gain `LESS`."""
        generator = generator_of(graph, self.seed)
        return Scores(
            Candidate(move=move, gain=LESS)
            for group in graph.growable
            for move in newborns(model, graph, group, self.count or group.width, generator)
        )


def generator_of(graph: Graph, seed: int) -> torch.Generator:
    """Other numbers for every growth of a run."""
    return torch.Generator().manual_seed(seed * 1_000_003 + sum(graph.widths.values()))


def newborns(
    model: nn.Module, graph: Graph, group: ChannelGroup, count: int, generator: torch.Generator
) -> Iterator[NewNeuron]:
    """So many new neurons of a group, without columns in its readers.

    Rows are drawn as large as those that are there, parameter by parameter; what a channel is born
    with by itself (a norm's scale and shift) is left to its birth.
    """
    scope = subgraph(graph, group, "unit")
    layers = [one for one in scope if one.kind in KINDS and not KINDS[one.kind].newborn]
    rows = Rows(model, graph, group, layers)
    if not rows.slots:
        return
    for _ in range(count):
        drawn = {key: _like(held, generator) for key, held in rows.held.items()}
        yield NewNeuron(group=group.name, into=rows.offset(rows.pack(drawn)[0]))


def _like(held: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers in a parameter's shape, as large as its own."""
    drawn = torch.randn(held.shape, generator=generator, dtype=torch.float64)
    return held.square().mean().sqrt() * drawn.to(held)

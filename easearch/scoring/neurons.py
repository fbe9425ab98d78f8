"""New neurons: random births, improved by a few steps of ascent on what the loss would give for
them.

A newborn with rows `theta` computes `u(theta)`; the loss wants its columns at `-M(u)`. Of all
columns of one length these gain most, and the gain grows with `||M(u(theta))||`: that is what the
rows climb, by steps that turn every row and every kernel by a fixed angle and leave its length.
Newborns of one group climb towards directions that are orthogonal to each other, and get these for
their columns: else all of them would ask for the same thing, and together bring little more than
one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.roles import Batches, Loss
from easearch.scoring.newborn.neuron_batches import (
    NewNeuronBatch,
    apart,
    born,
    column_size,
    learnt,
    parts_of,
    unit_length,
)
from easearch.scoring.newborn.neuron_pool import NewNeuronPool
from easearch.scoring.newborn.newborns import scored
from easearch.scoring.samples.passes import Passes
from easearch.scoring.scores import Scores, check_above_zero


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """New neurons of every growable group.

    Attributes:
        step: length of a newborn's columns, relative to the group's typical length.
        count: newborns a group; None: as many as it is wide.
        rounds: births for each of them, of which the best are raised.
        climbs: steps of ascent; a pass over the learning batches each, and one more.
        angle: by which a step turns every row and kernel, in radians.
        crossfit: rows and columns from every other batch, gains from the rest; False: both from
            all.
        memory: bytes that may be kept of the batches between passes over them.
        seed: of the births.
    """

    step: float = 0.05
    count: int | None = None
    rounds: int = 2
    climbs: int = 1
    angle: float = 0.8
    crossfit: bool = True
    memory: float = 768e6
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no scoring can be made with."""
        check_above_zero(step=self.step)
        if self.count is not None and self.count < 1:
            raise ScoringError(f"expected a count of 1 newborn a group or more, got {self.count}")
        if self.rounds < 1 or self.climbs < 0:
            raise ScoringError(
                "expected 1 round of births or more and 0 climbs or more, got "
                f"{self.rounds} and {self.climbs}"
            )

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """New neurons of every growable group whose readers are linear (newborns.py)."""
        return scored(
            model,
            graph,
            batches,
            loss,
            find=self._found,
            crossfit=self.crossfit,
            memory=self.memory,
        )

    def _found(self, nurseries: Sequence[NewNeuronPool], passes: Passes) -> list[NewNeuronBatch]:
        generator = torch.Generator().manual_seed(self.seed)
        counts = [self.count or nursery.width for nursery in nurseries]
        broods = [
            born(nursery, self.rounds * count, generator)
            for nursery, count in zip(nurseries, counts, strict=True)
        ]
        broods, _ = learnt(broods, passes)
        broods, aims = _chosen(broods, counts)
        for number in range(self.climbs):
            # M is of the rows before the climb, which is as good an aim and saves a pass.
            found, slopes = learnt(broods, passes, aims)
            broods = [
                replace(brood, rows=climbed(brood, slope, self.angle))
                for brood, slope in zip(found, slopes, strict=True)
            ]
            if number:
                broods, aims = _chosen(broods, counts)
        if self.climbs:
            broods, _ = learnt(broods, passes)
            broods, aims = _chosen(broods, counts)
        return [
            replace(brood, out=-self.step * column_size(brood.nursery.columns) * aim)
            for brood, aim in zip(broods, aims, strict=True)
        ]


def _chosen(
    broods: Sequence[NewNeuronBatch], counts: Sequence[int]
) -> tuple[list[NewNeuronBatch], list[Tensor]]:
    """The best of every group, and for each a direction of its own for its columns."""
    kept, aims = [], []
    for brood, count in zip(broods, counts, strict=True):
        which, directions = apart(brood.wanted, count)
        kept.append(brood.kept(which))
        aims.append(directions)
    return kept, aims


def climbed(brood: NewNeuronBatch, slope: Tensor, angle: float) -> Tensor:
    """(P, D): every row and kernel turned by the angle towards the slope (P, D), as long as it was.

    What else a newborn owns stays.
    """
    rows = brood.rows.clone()
    for part in parts_of(brood.nursery):
        if part.kind not in ("row", "kernel"):
            continue
        here, towards = rows[:, part.numbers], slope[:, part.numbers]
        unit = unit_length(here)
        across = towards - (towards * unit).sum(1, keepdim=True) * unit
        length = here.norm(dim=1, keepdim=True)
        turned = math.cos(angle) * unit + math.sin(angle) * unit_length(across)
        found = length * unit_length(turned)
        rows[:, part.numbers] = torch.where(across.norm(dim=1, keepdim=True) > 0, found, here)
    return rows

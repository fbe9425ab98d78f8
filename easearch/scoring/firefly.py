"""Firefly descent: the network with every candidate in it, all of them optimised together and
scored by the integrated gradients of their gates.

A split of every channel and new neurons in every group, optionally new layers, are put into one
temporary network [Wu2020b]. Their directions are optimised on the loss itself, each bounded; then
gates, one a candidate, are moved from closed to open together, and a candidate's gain is the
integral of its gate's gradient along the way. Splits and neurons come in one list; a layer is worth
the sum of its neurons, and stands in `Scores.layers`.

Departures from the paper, numbered:
1. A split goes along `+-delta` (its first order cancels, as in [Liu2019]) over all that the channel
   owns, and the bound is relative to its length: convolutions before a norm have no scale.
2. Numbers are learned in units of their bounds, by RMSprop with one square for all numbers of a
   direction and a rate that falls with the root of the steps; a step is a micro-batch. Splits begin
   on their bound in a random direction: at zero they are at rest, and the loss is even in them.
3. New neurons begin with columns of zero, on which their first step depends on the data alone, and
   with the norms' statistics that the data give them (births.py).
4. Gains are taken on samples that the directions have not seen; what is claimed on their own is
   told beside it. Which neurons a new layer keeps is decided on the latter.
5. The choice is left to the selectors: here are gains alone.

[Wu2020b] Wu, Liu, Stone, Liu. Firefly Neural Architecture Descent: a General Approach for Growing
Neural Networks. NeurIPS 2020, arXiv:2102.08574. [Liu2019] as in splitting.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.moves import Candidate
from easearch.roles import Batches, Loss
from easearch.scoring.overgrown.contenders import (
    columns,
    layers,
    neurons,
    splits,
    statistics,
)
from easearch.scoring.overgrown.gates import Gates
from easearch.scoring.overgrown.network import Overgrown
from easearch.scoring.overgrown.pool import Block, Pool
from easearch.scoring.samples.batches import prepared
from easearch.scoring.samples.evidence import Tally, rank_correlation
from easearch.scoring.scores import Scores, candidate_of, check_above_zero, scoring_state
from easearch.scoring.units.scope import owned

MOST = 70
"""New neurons a place that the published code tries."""


@dataclass(frozen=True, kw_only=True)
class Firefly:
    """Splits, new neurons and new layers, optimised and scored in one over-grown network.

    Attributes:
        step: length of a split's offset, relative to the norm of what the channel owns, and of a
            new channel's columns, relative to those of the channels beside it.
        new: new neurons a group that are tried; None: as many as it has channels, 70 at most.
        layers: how many new layers are told of, the best first; 0: none are tried.
        neurons_a_layer: how wide a new layer is at most; `new` are tried.
        epochs: over the learning batches, while directions are optimised.
        rate: of the first step, in units of the bounds.
        points: at which the gates' gradients are taken, between 0 and 1.
        crossfit: directions from every other batch, gains from the rest; False: both from all.
        seed: of the directions in which candidates begin.
    """

    step: float = 0.05
    new: int | None = None
    layers: int = 0
    neurons_a_layer: int = 16
    epochs: int = 1
    rate: float = 0.3
    points: tuple[float, ...] = (1 / 6, 1 / 2, 5 / 6)
    crossfit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no scoring can be made with."""
        check_above_zero(step=self.step, rate=self.rate)
        least = {"new": 0, "layers": 0, "neurons_a_layer": 1, "epochs": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ScoringError(f"expected {name} to be {low} or more, got {value}")
        if not self.points or not all(0 <= point <= 1 for point in self.points):
            raise ScoringError(f"expected points between 0 and 1, got {self.points}")

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """A split of every channel and new neurons in every growable group, best first.

        Args:
            model: left bit-identical; scored in evaluation mode.
            graph: its graph.
            batches: (inputs, targets), iterated several times.
            loss: mean over the samples.

        Raises:
            ScoringError: a loss that is not finite or not a scalar; batches that cannot be used.
        """
        with scoring_state(model):
            learning, judging = prepared(batches, model, loss, self.crossfit)
            blocks, nothing = self.blocks(model, graph)
            if not blocks:
                return Scores([], nothing=nothing)
            pool = Pool(blocks)
            gates = Gates(Overgrown(model, graph, pool.moves, pool.start), pool, loss)
            numbers = gates.learned(learning, self.epochs, self.rate)
            claimed: Tally | None = None
            if self.crossfit or self.layers:
                middle = sorted(self.points)[len(self.points) // 2]
                claimed, _ = gates.gains(numbers, learning, (middle,))
            kept = {} if claimed is None else self._kept(pool, numbers, claimed.mean)
            unseen, at_middle = gates.gains(numbers, judging, self.points, list(kept.values()))
        images = unseen.samples
        if claimed is None or not self.crossfit:
            held_out, ranks = None, None
        else:
            images += claimed.samples
            held_out, ranks = _evidence(claimed.mean, unseen, at_middle)
        found = _widenings(pool, numbers, unseen)
        return Scores(
            found,
            images=images,
            held_out=held_out,
            rank_correlation=ranks,
            layers=_deepenings(pool, numbers, unseen, kept)[: self.layers],
            nothing={**nothing, **_worthless(blocks, found)},
        )

    def blocks(self, model: nn.Module, graph: Graph) -> tuple[list[Block], dict[str, str]]:
        """All candidates; and why a group that can grow has none."""
        generator = torch.Generator().manual_seed(self.seed)
        found: list[Block] = []
        nothing: dict[str, str] = {}
        for group in graph.growable:
            rows, out = owned(model, graph, group), columns(model, graph, group)
            number = min(group.width, MOST) if self.new is None else self.new
            if rows.slots:
                found.append(splits(group, rows, self.step, generator))
            if out.slots and number:
                norms = statistics(model, graph, group)
                found.append(neurons(group, rows, norms, out, number, self.step, generator))
            elif not rows.slots:
                nothing[group.name] = "its channels own no parameters, and no columns are their own"
        like = next((p for p in model.parameters() if p.is_floating_point()), None)
        if self.layers and like is not None:
            found += layers(graph, self.new, MOST, self.step, like.detach(), generator)
        return found, nothing

    def _kept(self, pool: Pool, numbers: Tensor, claimed: Tensor) -> dict[str, Tensor]:
        """The neurons that each new layer is made of: the best of those that gain anything."""
        kept: dict[str, Tensor] = {}
        for block, _, first in pool.split(numbers):
            own = claimed[first : first + block.candidates]
            best = own.argsort(descending=True, stable=True)[: self.neurons_a_layer]
            best = best[own[best] > 0]
            if block.deepens and len(best):
                kept[block.place] = first + best.sort().values
        return kept


def _widenings(pool: Pool, numbers: Tensor, unseen: Tally) -> list[Candidate]:
    found = []
    gains, intervals = unseen.mean.tolist(), unseen.interval.tolist()
    for block, own, first in pool.split(numbers):
        if not block.deepens:
            for number, move in enumerate(block.build(own), start=first):
                found.append(candidate_of(move, gains[number], intervals[number]))
    return found


def _deepenings(
    pool: Pool, numbers: Tensor, unseen: Tally, kept: dict[str, Tensor]
) -> list[Candidate]:
    """The new layers, best first; a layer is worth the sum of the neurons that it keeps."""
    gains = unseen.mean[pool.candidates :].tolist()
    intervals = unseen.interval[pool.candidates :].tolist()
    worth = dict(zip(kept, zip(gains, intervals, strict=True), strict=True))
    found = []
    for block, own, first in pool.split(numbers):
        if block.deepens and block.place in kept:
            (move,) = block.build(own[kept[block.place] - first])
            found.append(candidate_of(move, *worth[block.place]))
    return sorted(found, key=lambda candidate: -candidate.gain)


def _evidence(claimed: Tensor, unseen: Tally, middle: Tally) -> tuple[float | None, float | None]:
    """Of what claims to gain anything: held-out over claimed gain, at the same point, and the rank
    correlation of the halves.
    """
    chosen = claimed > 0
    total = float(claimed[chosen].sum())
    held_out = float(middle.mean[: len(claimed)][chosen].sum()) / total if total > 0 else None
    one, other = unseen.halves[:, : len(claimed)][:, chosen]
    return held_out, rank_correlation(one, other)


def _worthless(blocks: list[Block], found: list[Candidate]) -> dict[str, str]:
    """Groups of whose candidates none gains anything."""
    gaining = {c.move.group for c in found if c.gain > 0 and not c.move.deepens}
    return {
        block.place: "no split and no new neuron that was tried lowers the loss"
        for block in blocks
        if not block.deepens and block.place not in gaining
    }

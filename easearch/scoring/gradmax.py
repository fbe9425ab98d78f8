"""GradMax: new neurons whose first gradient is as large as it can be.

A neuron between the writers and the readers of a group is, where its incoming weights are zero, a
linear map from the writers' inputs straight to the readers' outputs: a *virtual kernel* `o v'` of
its incoming weights v and outgoing weights o. With B the loss's gradient at that kernel, the
gradient at v is `B'o` [Evci2022]. Of all o of one length the top left singular vectors of B make it
largest, and the right ones are the directions that v then takes.

B is never formed: block subspace iteration alternates the products `B v` and `B'o`, both by
automatic differentiation of the group's unit at zero incoming weights (straight.py). There
activations count with their slope at zero (from above, where it jumps), a depthwise kernel is 1 in
its centre and 0 elsewhere, biases and shifts are zero, norms with running statistics are the
identity. Behind what is not linear there either (a maximum over positions, a norm without running
statistics) B is what automatic differentiation makes of it.

Departures from the paper, numbered:
1. As published the incoming weights are zero, and so is the gain at birth: the neuron is worth what
   its first gradient step brings. Here that step is part of the move (`published=False`): the
   incoming weights are the right singular vector, `step` times the group's typical length, the
   columns the left one at typical length, and the gain is the finite-step decrease on unseen
   batches, the currency of all moves.
2. A norm behind the neuron would blow a small neuron up to its own size. It is born as the
   identity: its statistics are the newborn's own, its scale is their deviation and its shift their
   mean, and recalibration leaves it so. A norm without scale and shift, or without running
   statistics, cannot be; there the incoming weights have typical length and the columns the step.
3. The paper assumes activations that are zero at zero. Groups in which a neuron with zero incoming
   weights is not silent (a sigmoid) get none.

[Evci2022] Evci, van Merriënboer, Unterthiner, Vladymyrov, Pedregosa. GradMax: GrowthSchedule Neural
Networks using Gradient Information. ICLR 2022, arXiv:2201.05125.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from easearch.errors import ScoringError
from easearch.graph import ChannelGroup, Graph
from easearch.roles import Batches, Loss
from easearch.scoring.newborn.neuron_batches import NewNeuronBatch, column_size, conceived, learnt
from easearch.scoring.newborn.neuron_pool import NewNeuronPool
from easearch.scoring.newborn.newborns import scored
from easearch.scoring.newborn.singular import Singular, decomposed, silent
from easearch.scoring.newborn.straight import Straight
from easearch.scoring.samples.passes import Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import Scores, check_above_zero


@dataclass(frozen=True, kw_only=True)
class GradMax:
    """New neurons along the top singular vectors of every group's virtual kernel.

    Attributes:
        step: length of the incoming weights, relative to the group's typical length; of a published
            birth, the rate of the gradient step by which it is valued.
        published: zero incoming weights. The gain is then what one gradient step at rate `step`
            brings, `step * (length of the outgoing weights * singular value)^2`, with one of the
            two factors on unseen batches: no finite-step gain, nor comparable with one.
        count: neurons a group; None: as many as it is wide. Never more than B has dimensions.
        iterations: products with B and its transpose; a pass over the learning batches each pair.
        crossfit: directions from every other batch, gains from the rest; False: both from all.
        memory: bytes that may be kept of the batches between passes over them.
        seed: of the start vectors.
    """

    step: float = 0.05
    published: bool = False
    count: int | None = None
    iterations: int = 2
    crossfit: bool = True
    memory: float = 768e6
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no scoring can be made with."""
        check_above_zero(step=self.step)
        if self.iterations < 1 or (self.count is not None and self.count < 1):
            raise ScoringError(
                "expected 1 iteration or more and a count of 1 neuron or more, got "
                f"{self.iterations} and {self.count}"
            )

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """New neurons of every growable group whose readers are linear (newborns.py)."""

        def nursery(group: ChannelGroup, wires: TracedProgram) -> NewNeuronPool:
            return Straight(model, graph, group, wires, published=self.published)

        return scored(
            model,
            graph,
            batches,
            loss,
            find=self._found,
            crossfit=self.crossfit,
            memory=self.memory,
            nursery=nursery,
        )

    def _found(self, nurseries: Sequence[NewNeuronPool], passes: Passes) -> list[NewNeuronBatch]:
        units = _silent([one for one in nurseries if isinstance(one, Straight)], passes)
        if not units:
            return []
        counts = [
            min(self.count or unit.width, int(unit.steered.sum()), unit.columns.numbers)
            for unit in units
        ]
        generator = torch.Generator().manual_seed(self.seed)
        found = decomposed(units, passes, counts, self.iterations, generator)
        pairs = list(zip(units, found, strict=True))
        if self.published:
            return [self._at_zero(unit, singular) for unit, singular in pairs]
        broods, _ = learnt([self._stepped(unit, singular) for unit, singular in pairs], passes)
        return [unit.as_identity(brood) for unit, brood in zip(units, broods, strict=True)]

    def _stepped(self, unit: Straight, singular: Singular) -> NewNeuronBatch:
        """Incoming weights along the right vectors, columns against the left ones."""
        into, out = unit.row_size, column_size(unit.columns)
        if unit.blown:
            out *= self.step
        else:
            into *= self.step
        return replace(conceived(unit, unit.base + into * singular.right), out=-out * singular.left)

    def _at_zero(self, unit: Straight, singular: Singular) -> NewNeuronBatch:
        """The rows are where the first step leads; a move has them at zero (`Straight.offset`)."""
        size, values = column_size(unit.columns), singular.sizes[:, None]
        length = self.step * size * values
        brood = conceived(unit, unit.base + length * singular.right)
        wanted = length * values * singular.left
        out = -size * singular.left
        return unit.as_identity(replace(brood, out=out, wanted=wanted, samples=singular.samples))


def _silent(units: Sequence[Straight], passes: Passes) -> list[Straight]:
    """Those in which a neuron with zero incoming weights gives its readers nothing."""
    for unit, quiet in zip(units, silent(units, passes), strict=True):
        if not quiet:
            unit.unread = (
                "a neuron with zero incoming weights is not silent here, or has no finite "
                "gradient: what follows it is not zero at zero, or not smooth there"
            )
    return [unit for unit in units if unit.unread is None]

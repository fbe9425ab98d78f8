"""A scoring of new neurons: whatever finds them, their gains are taken the same way.

The newborns are found on one part of the batches and judged on the other, at the very columns that
the move writes: the gain is the finite-step decrease `-<M, out>` (docs/methods.md, 4 and 7).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from easearch.errors import ScoringError
from easearch.graph import ChannelGroup, Graph
from easearch.moves import Candidate
from easearch.roles import Batches, Loss
from easearch.scoring.newborn.neuron_batches import NewNeuronBatch, capture, judged
from easearch.scoring.newborn.neuron_pool import NewNeuronPool
from easearch.scoring.samples.batches import first_inputs, prepared
from easearch.scoring.samples.compared import compared
from easearch.scoring.samples.evidence import Tally, rank_correlation
from easearch.scoring.samples.passes import Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import Scores, candidate_of, scoring_state

LOG = logging.getLogger(__name__)

Find = Callable[[Sequence[NewNeuronPool], Passes], list[NewNeuronBatch]]
"""(groups, the learning batches) -> their newborns, with the columns that they are to be given."""

Make = Callable[[ChannelGroup, TracedProgram], NewNeuronPool]


def scored(
    model: nn.Module,
    graph: Graph,
    batches: Batches,
    loss: Loss,
    *,
    find: Find,
    crossfit: bool,
    memory: float,
    nursery: Make | None = None,
) -> Scores:
    """New neurons of every growable group whose readers are linear, best first.

    Args:
        model: left bit-identical; scored in evaluation mode.
        graph: its graph.
        batches: (inputs, targets), iterated several times.
        loss: mean over the samples.
        find: finds them on the learning batches.
        crossfit: whether other batches judge them.
        memory: bytes that may be kept of the batches between passes over them.
        nursery: how a group is run with newborns; None: as it is.

    Returns:
        The candidates; in `nothing` the groups that take no new neurons, and why.

    Raises:
        ScoringError: a loss that is not finite or not a scalar; batches that cannot be used.
    """
    wires = TracedProgram(model, first_inputs(batches))
    with scoring_state(model):
        learning, judging = prepared(batches, model, loss, crossfit)
        make = nursery or (lambda group, wires: NewNeuronPool(model, graph, group, wires))
        every = [make(group, wires) for group in graph.growable]
        nurseries = [one for one in every if one.unread is None and one.slots]
        compared(model, nurseries, wires, batches)
        if not nurseries:
            return Scores([], nothing=_left_out(every))
        capturing = capture(nurseries, wires, loss)
        passes = Passes(capturing, learning, memory)
        broods = find(nurseries, passes)
        if not broods:
            return Scores([], nothing=_left_out(every))
        tallies = judged(broods, Passes(capturing, judging, 0.0) if crossfit else passes)
    return _scores(broods, tallies, crossfit, _left_out(every))


def _left_out(nurseries: Sequence[NewNeuronPool]) -> dict[str, str]:
    """The groups that take no new neurons, and why."""
    left = {one.group.name: one.unread for one in nurseries if one.unread is not None}
    for name, reason in left.items():
        LOG.debug("no new neurons for '%s': %s", name, reason)
    return left


def _scores(
    broods: Sequence[NewNeuronBatch],
    tallies: Sequence[Tally],
    crossfit: bool,
    nothing: dict[str, str],
) -> Scores:
    claimed = sum(float(-(brood.wanted * brood.out).sum()) for brood in broods)
    kept = sum(float(tally.mean.sum()) for tally in tallies)
    halves = torch.cat([tally.halves for tally in tallies], dim=1)
    return Scores(
        [one for pair in zip(broods, tallies, strict=True) for one in _candidates(*pair)],
        images=tallies[0].samples + (broods[0].samples if crossfit else 0),
        held_out=kept / claimed if crossfit and claimed > 0 else None,
        rank_correlation=rank_correlation(halves[0], halves[1]),
        nothing=nothing,
    )


def _candidates(brood: NewNeuronBatch, tally: Tally) -> Iterator[Candidate]:
    """Worth nothing where unseen samples see no gain."""
    if not bool(torch.isfinite(brood.rows).all() and torch.isfinite(brood.out).all()):
        raise ScoringError(
            f"the new neurons of '{brood.nursery.group.name}' are not finite; check the weights"
        )
    gains, intervals = tally.mean.tolist(), tally.interval.tolist()
    for move, gain, interval in zip(brood.moves(), gains, intervals, strict=True):
        yield candidate_of(move, gain, interval)

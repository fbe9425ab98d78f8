"""One common step for the moves of a plan, found by a line search on the measured loss.

Gains of single moves are promises at small steps and do not add up: taken at once and in full, the
moves of a plan can raise the loss. So they are tried together at a few factors of their own steps,
and the factor with the lowest loss is taken; without any that lowers it, the growth is silent.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer

from easearch.checks.batches import checked, outputs_of, samples_in
from easearch.checks.losses import check_loss, loss_at
from easearch.checks.objects import check_moves, check_own
from easearch.errors import GraphError
from easearch.graph import Graph
from easearch.growth.surgery import perform
from easearch.growth.training import recalibrate
from easearch.moves import Move
from easearch.roles import Batches, Loss
from easearch.tracing.program import evaluating

FACTORS = (4.0, 2.0, 1.0, 0.5, 0.25)
"""Of every move's own step, tried by default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TakenStep:
    """A growth that was taken: the new network, and what its step did to the loss (nats).

    Attributes:
        model: the grown network.
        optimizer: carried over to it; None where none was given.
        factor: by which every move's step was multiplied; 0: the growth is silent.
        loss_before: of the network before, on the batches of the search.
        loss_after: of the grown network, on the same batches.
        tried: (factor, loss) for the silent growth and for every factor, smallest first.
    """

    model: nn.Module
    optimizer: Optimizer | None
    factor: float
    loss_before: float
    loss_after: float
    tried: tuple[tuple[float, float], ...]


def take_step(
    model: nn.Module,
    graph: Graph,
    moves: Sequence[Move],
    batches: Batches,
    *,
    loss: Loss = F.cross_entropy,
    optimizer: Optimizer | None = None,
    factors: Sequence[float] = FACTORS,
) -> TakenStep:
    """Grow by these moves with the common step that lowers the loss most.

    Batch norms are measured anew on the batches, where that does not raise the loss.

    Args:
        model: the model of which `graph` is the trace; it is left as it was.
        graph: its graph.
        moves: of a plan (`plan.moves`), each at its own step.
        batches: (inputs, targets), any iterable that can be iterated more than once; a thousand
            samples or more tell the step well.
        loss: `loss(outputs, targets)`, the mean over the samples.
        optimizer: carried over when given, with its state.
        factors: of the moves' own steps that are tried; each costs a pass over the batches.

    Returns:
        The grown model and optimizer, the factor taken, and the loss before and after.

    Raises:
        GraphError: moves that do not fit the graph, or a graph that is not the model's.
        ScoringError: batches or a loss that no loss can be measured with.
    """
    check_own(model, graph)
    check_moves(moves, graph)
    for factor in factors:
        number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if not number or not 0 < factor < math.inf:
            raise GraphError(f"expected factors above 0, numbers, got {factor!r}; leave it out")
    first = checked(batches)[0]
    with evaluating(model):
        check_loss(model, *first, loss)
    before = _mean_loss(model, batches, loss)

    def at(factor: float) -> nn.Module:
        return perform(model, graph, [move.scaled(factor) for move in moves])

    tried = searched(lambda f: _mean_loss(at(f), batches, loss), factors if moves else ())
    factor = best(tried)
    scaled = [move.scaled(factor) for move in moves]
    if optimizer is None:
        grown = perform(model, graph, scaled)
    else:
        grown, optimizer = perform(model, graph, scaled, optimizer)
    return TakenStep(
        model=grown,
        optimizer=optimizer,
        factor=factor,
        loss_before=before,
        loss_after=_remeasured(grown, batches, loss, dict(tried)[factor]),
        tried=tuple(sorted(tried)),
    )


def searched(
    loss_of: Callable[[float], float], factors: Sequence[float]
) -> list[tuple[float, float]]:
    """(factor, loss) for the silent growth, 0, and for every factor; infinite where a loss is not
    finite.
    """
    found = ((factor, loss_of(factor)) for factor in (0.0, *factors))
    return [(factor, loss if math.isfinite(loss) else math.inf) for factor, loss in found]


def best(tried: Sequence[tuple[float, float]], rise: float = 0.0) -> float:
    """The factor with the lowest loss; 0, the silent growth, where every factor raises the loss by
    `rise` of it or more.
    """
    silent = dict(tried)[0.0]
    steps = [one for one in tried if one[0]]
    factor, loss = min(steps, key=lambda one: one[1], default=(0.0, math.inf))
    return factor if loss < silent + rise * abs(silent) else 0.0


def _mean_loss(model: nn.Module, batches: Batches, loss: Loss) -> float:
    """Over the samples, in evaluation mode."""
    total, seen = 0.0, 0
    with evaluating(model), torch.no_grad():
        for inputs, targets in batches:
            samples = samples_in(inputs, targets)
            total += samples * float(loss_at(loss, outputs_of(model, inputs), targets))
            seen += samples
    return total / max(seen, 1)


def _remeasured(model: nn.Module, batches: Batches, loss: Loss, at_most: float) -> float:
    """Measure the norms anew, unless the loss rises by it; the loss as it then is."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not any(norm.running_mean is not None for norm in norms):
        return at_most
    held = {name: copy.deepcopy(buffer) for name, buffer in model.named_buffers()}
    try:
        recalibrate(model, batches)
        found = _mean_loss(model, batches, loss)
    except ValueError:  # a norm wants more than one value a channel
        found = math.inf
    if found <= at_most:
        return found
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(held[name])
    return at_most

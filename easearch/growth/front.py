"""A front from one run: a trunk at a constant rate, that grows from limit to limit or begins at its
largest size, and a branch for each limit, annealed and delivered (docs/methods.md, 10).

A branch is the trunk as it was at that size, or its end, cut back within the smaller limit.
The compute of the run is shared: the trunk takes its part, and what is left goes to the branches,
as much to each, or in proportion to the multiply-adds of their networks, so that each sees the same
number of batches.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch.nn.functional as F
from torch import nn

from easearch.graph import Graph
from easearch.growth.channel_pruning import keepable, removals
from easearch.growth.compute import counted
from easearch.growth.loop import Grower
from easearch.growth.surgery import apply
from easearch.roles import Batches, Loss, Worths

Worth = Callable[[nn.Module, Graph, Batches, Loss], Worths]
"""Tells what the channels of a network are worth, from samples and their loss."""
NEVER = math.inf
"""The rate of a trunk does not fall."""


def branches(
    trunk: Grower, until: float, worth: Worth | None = None, shares: str = "macs"
) -> list[Grower]:
    """Run the trunk until so many epochs have passed, and give a branch for each limit: run to its
    end (`finish`) it is the network for that limit.

    A branch is a `Grower` of its own; its compute begins with what the trunk had spent where it
    leaves. The seed's own size has no limit, and no branch.

    Args:
        trunk: with `training.compute`, and a target a limit.
        until: where the trunk ends.
        worth: by what the smaller networks are cut from the trunk's end (cutting.py); None: they
            leave the trunk before it grows further.
        shares: `macs` or `equal`.

    Raises:
        BudgetError: the run has no compute to share.
    """
    trunk.annealed_from = NEVER
    found = []
    for stage, at in enumerate(trunk.growing.at):
        trunk.train_until(at)
        if stage and worth is None:
            found.append(_leaving(trunk, stage, stage))
        trunk.grow(stage)
    trunk.train_until(until)
    if worth is not None:
        with counted() as work:
            worths = _told(trunk, worth)
        trunk.compute.scoring += work.macs
        found = [_cuttable(trunk, number, worths) for number in range(len(trunk.targets))]
        for one in found[:-1]:
            _cut_back(one, worths, 1.0)
    else:
        found.append(_leaving(trunk, len(trunk.growing.at), len(trunk.targets)))
    left = trunk.training.whole - trunk.compute.total
    weights = weighted([float(trunk.compute.macs_of(one.state.graph)) for one in found], shares)
    for one, weight in zip(found, weights, strict=True):
        _end(one, left * weight)
    return found


def weighted(macs: Sequence[float], shares: str) -> list[float]:
    """The parts of some compute that go to networks of so many multiply-adds; together 1.

    Args:
        macs: a number a network.
        shares: `macs`, in proportion to them; `equal`, as much to each.
    """
    weights = list(macs) if shares == "macs" else [1.0] * len(macs)
    return [one / sum(weights) for one in weights]


def finish(branch: Grower) -> None:
    """Anneal a branch on its share."""
    branch.train_until(branch.training.epochs)


def spent_since(branch: Grower) -> dict[str, float]:
    """Multiply-adds by purpose: a branch's without the trunk's, all of another grower's."""
    found = branch.compute.as_dict()
    found.pop("total")
    return {purpose: macs - branch.began.get(purpose, 0.0) for purpose, macs in found.items()}


def _leaving(trunk: Grower, stages: int, limits: int) -> Grower:
    """The trunk as it stands after so many growths, on a way of its own, towards the first so many
    limits.
    """
    branch, how = copy.copy(trunk), trunk.growing
    branch.state = replace(trunk.state.copied(), stage=stages)
    branch.targets = trunk.targets[:limits]
    branch.growing = replace(how, at=how.at[:stages], stages=how.stages[:stages])
    branch.annealed_from = trunk.now
    branch.history, branch.steps = list(trunk.history), trunk.steps[:stages]
    branch.before = trunk.before[:stages]
    branch.compute, branch.began = replace(trunk.compute), trunk.compute.as_dict()
    branch.seconds = {}
    return branch


def _told(trunk: Grower, worth: Worth) -> Worths:
    """What the channels of the trunk are worth as it stands."""
    state = trunk.state
    return worth(state.model, state.graph, trunk.feed.scoring(state.epoch), F.cross_entropy)


def _cuttable(trunk: Grower, number: int, worths: Worths) -> Grower:
    """The end of the trunk towards the limits of that network; should its file miss one, it comes
    back to this end and is cut narrower.
    """
    branch = _leaving(trunk, len(trunk.growing.at), number + 1)
    branch.before = [replace(trunk.state, spent=trunk.compute.total)]
    branch.again = partial(_cut_back, branch, worths)
    return branch


def _cut_back(branch: Grower, worths: Worths, tighter: float) -> None:
    """Cut a branch back within its limits times `tighter`."""
    state = branch.state
    bounds = [replace(bound, limit=tighter * bound.limit) for bound in branch.bounds]
    least, kept = keepable(state.graph, worths, branch.seed_widths)
    widths = branch.planned(kept, least, bounds).plan.widths
    moves = removals(state.model, state.graph, widths, worths)
    state.model, state.optimizer = apply(state.model, state.graph, moves, state.optimizer)
    state.graph = state.graph.after(moves)


def _end(branch: Grower, compute: float) -> None:
    """Give a branch so much compute from where it begins."""
    how = branch.training
    end = branch.compute.total + compute
    branch.training = replace(how, compute=end, epochs=how.epochs * end / how.whole)

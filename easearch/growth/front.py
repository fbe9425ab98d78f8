"""A front from one run: a trunk that grows from limit to limit at a constant rate, and a branch
for each limit, which is annealed and delivered (docs/methods.md, 10).

A branch is the trunk as it was at that size, or its end, cut back within the smaller limit.
The compute of the run is shared: the trunk takes its part, and what is left goes to the branches
in proportion to the multiply-adds of their networks, so that each sees the same number of batches.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

from easearch.errors import BudgetError
from easearch.growth.compute import counted
from easearch.growth.cutting import Worths, keepable, removals
from easearch.growth.loop import Grower
from easearch.growth.surgery import apply

Worth = Callable[[Grower], Worths]
"""What the channels of a network are worth, as it stands."""
NEVER = math.inf
"""The rate of a trunk does not fall."""


def branches(trunk: Grower, until: float, worth: Worth | None = None) -> list[Grower]:
    """Run the trunk until so many epochs have passed, and give a branch for each limit: run to its
    end (`finish`) it is the network for that limit.

    A branch is a `Grower` of its own; its compute begins with what the trunk had spent where it
    leaves. The seed's own size has no limit, and no branch.

    Args:
        trunk: with `training.compute`, and a target a limit.
        until: where the trunk ends.
        worth: by what the smaller networks are cut from the trunk's end (cutting.py); None: they
            leave the trunk before it grows further.

    Raises:
        BudgetError: the run has no compute to share.
    """
    if trunk.training.compute is None:
        raise BudgetError("expected training.compute, which a front shares, got none")
    trunk.annealed_from = NEVER
    found = []
    for stage, at in enumerate(trunk.growing.at):
        trunk.train_until(at)
        if stage and worth is None:
            found.append(_leaving(trunk, stage))
        trunk.grow(stage)
    trunk.train_until(until)
    if worth is not None:
        with counted() as work:
            worths = worth(trunk)
        trunk.compute.scoring += work.macs
        found = [_cut_back(trunk, stage, worths) for stage in range(len(trunk.targets) - 1)]
    found.append(_leaving(trunk, len(trunk.growing.at)))
    left = trunk.training.compute - trunk.compute.total
    macs = [trunk.compute.macs_of(one.state.graph) for one in found]
    for one, share in zip(found, macs, strict=True):
        _end(one, left * share / sum(macs))
    return found


def finish(branch: Grower) -> None:
    """Anneal a branch on its share."""
    branch.train_until(branch.training.epochs)


def spent_since(branch: Grower) -> dict[str, float]:
    """Multiply-adds by purpose: a branch's without the trunk's, all of another grower's."""
    found = branch.compute.as_dict()
    found.pop("total")
    return {purpose: macs - branch.began.get(purpose, 0.0) for purpose, macs in found.items()}


def _leaving(trunk: Grower, stages: int) -> Grower:
    """The trunk as it stands, on a way of its own, towards the first so many limits."""
    branch, how = copy.copy(trunk), trunk.growing
    branch.state = replace(trunk.state.copied(), stage=stages)
    branch.targets = trunk.targets[:stages]
    branch.growing = replace(how, at=how.at[:stages], stages=how.stages[:stages])
    branch.annealed_from = trunk.now
    branch.history, branch.steps = list(trunk.history), trunk.steps[:stages]
    branch.before = trunk.before[:stages]
    branch.compute, branch.began = replace(trunk.compute), trunk.compute.as_dict()
    branch.seconds = {}
    return branch


def _cut_back(trunk: Grower, stage: int, worths: Worths) -> Grower:
    """The trunk as it stands, cut back within the limit of that stage."""
    branch, target = _leaving(trunk, len(trunk.growing.at)), trunk.targets[stage]
    branch.targets = [*trunk.targets[:-1], target]
    state = branch.state
    least, kept = keepable(state.graph, worths, trunk.seed_widths)
    last = len(branch.targets) - 1
    widths = branch.planned(kept, least, target.bounds, last).plan.widths
    moves = removals(state.model, state.graph, widths, worths)
    state.model, state.optimizer = apply(state.model, state.graph, moves, state.optimizer)
    state.graph = state.graph.after(moves)
    return branch


def _end(branch: Grower, compute: float) -> None:
    """Give a branch so much compute from where it begins."""
    how = branch.training
    whole = how.compute or 0.0
    end = branch.compute.total + compute
    branch.training = replace(how, compute=end, epochs=how.epochs * end / whole)

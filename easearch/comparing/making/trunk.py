"""How a front is made of one training by the arms that take away: a trunk, and a branch a limit.

The trunk is the uniform network of the largest limit, trained at the recipe's constant rate for
`front.trunk` of the compute and never annealed. Every limit gets a copy of it, made narrower, and
its share of the rest of the compute by `front.shares`. Each is annealed by one cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from easearch.comparing.apart import part
from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.making.compute_budget import (
    ComputeBudget,
    TrainingState,
    annealed,
    drawn,
    falling,
    train,
)
from easearch.growth.front import weighted
from easearch.growth.surgery import apply


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A network that is ready to be annealed."""

    course: TrainingState
    notes: Sequence[str] = ()


Cut = Callable[[Setting, TrainingState, ComputeBudget], Branch]
"""Brings a copy of the trunk within the limits of a setting, which has one limit; what it computes
it charges to the purse.
"""


def front_of(contest: Setting, cut: Cut) -> list[Delivered]:
    """Train the trunk, cut it to every limit, anneal what is left.

    Raises:
        BudgetError: the compute is too little.
    """
    purse = ComputeBudget(whole=contest.compute)
    trunk = trunk_of(contest, purse, contest.uniform, contest.recipe.front.trunk)
    found: list[Delivered] = []
    bill: dict[str, float] = {}
    until, rest = purse.share, 1 - purse.share
    macs = [point.macs for point in contest.points]
    for number, share in enumerate(weighted(macs, contest.recipe.front.shares)):
        until += share * rest
        alone = part(contest, number, share * contest.compute)
        branch = cut(alone, copied(trunk), purse)
        course = branch.course
        train(course, contest, purse, until, falling(contest, purse.share, until))
        since = {name: macs - bill.get(name, 0.0) for name, macs in purse.bill.items()}
        bill = dict(purse.bill)
        found.append(
            Delivered(model=course.model, graph=course.graph, bill=since, notes=branch.notes)
        )
    return found


def trunk_of(
    contest: Setting, purse: ComputeBudget, widths: Mapping[str, int], until: float
) -> TrainingState:
    """A fresh network at these widths, trained until the share `until` of the compute is spent: a
    warm-up, then the constant rate.

    Raises:
        BudgetError: the compute is not enough for one step.
    """
    course = drawn(contest.ready, widths)
    train(course, contest, purse, until, annealed(contest, until))
    return course


def copied(course: TrainingState) -> TrainingState:
    """An independent copy, with its momentum and its place in the row of batches."""
    model, optimizer = apply(course.model, course.graph, [], course.optimizer)
    return replace(course, model=model, optimizer=optimizer)

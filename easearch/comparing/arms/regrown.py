"""`regrown`: a trunk that shrinks and grows again, for fronts.

The uniform network of the largest limit is trained for half of the trunk's compute, cut to the
uniform widths of the smallest limit by the scale of its norms, and grown from limit to limit by the
recipe's criterion, with a branch at each. The first growth takes what the uniform widths leave of
the smallest limit. What is between shrinking and the trunk's end is shared so that every size sees
as many batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.grow import branched
from easearch.comparing.arms.sliced import slice_to
from easearch.comparing.arms.variant import changes_of, refused
from easearch.comparing.making.compute_budget import ComputeBudget, TrainingState
from easearch.comparing.making.trunk import trunk_of
from easearch.errors import BudgetError
from easearch.front import FrontAssembly
from easearch.growth.compute import Compute
from easearch.growth.state import State
from easearch.preflight.ready import Ready

SHRUNK = 0.5
"""Of the trunk's compute, that goes into the largest network before it is cut."""


def run(contest: Setting) -> Delivered:
    """There is nothing to shrink to.

    Raises:
        BudgetError: always.
    """
    raise BudgetError(
        "the arm regrown: expected two limits or more, got one, to which it would neither shrink "
        "nor grow; say a list of limits, or leave the arm out"
    )


def front(contest: Setting) -> list[Delivered]:
    """Train, cut, grow, and anneal a branch a limit.

    Raises:
        BudgetError: the compute is too little.
        GraphError: a group of which nothing says what its channels are worth.
    """
    purse = ComputeBudget(whole=contest.compute)
    largest = trunk_of(contest, purse, contest.uniform, SHRUNK * contest.recipe.front.trunk)
    slice_to(largest, replace(contest, points=contest.points[:1]))
    assembly = FrontAssembly(_ready(contest, largest), contest.folder, contest.watch)
    trunk = assembly.trunk.grower()
    trunk.compute = Compute(**purse.bill)
    return branched(assembly, trunk)


def _ready(contest: Setting, course: TrainingState) -> Ready:
    """The run from the shrunken network on."""
    # Its sizes are branches by what it is: cut from its end, it need not have shrunk.
    branched_off = {"front.smaller": "branch", "front.start": "seed", **changes_of(contest.option)}
    recipe, ready = contest.recipe.changed(branched_off), contest.ready
    growth, epochs = recipe.growth, ready.training.epochs
    at = tuple(share * epochs for share in moments(contest, recipe.front.trunk))
    how = replace(ready.growing, at=at, line_search=growth.line_search, layers=growth.layers)
    state = State(
        model=course.model,
        graph=course.graph,
        optimizer=course.optimizer,
        batches=course.batches,
        epoch=course.batches // ready.feed.steps,
    )
    return replace(ready, recipe=recipe, growing=how, state=state)


def moments(contest: Setting, trunk: float) -> Sequence[float]:
    """Shares of the compute after which it grows, the first at once.

    Args:
        contest: with its limits.
        trunk: the share at which the trunk ends.
    """
    macs = [point.macs for point in contest.points]
    shrunk = SHRUNK * trunk
    before = accumulate(macs[:-1], initial=0.0)
    return [shrunk + (trunk - shrunk) * spent / sum(macs) for spent in before]


REGROWN = Arm(
    run=run,
    front=front,
    about="the largest limit's uniform network, cut to the smallest's and grown by the recipe",
    refusal=refused,
)

"""`sliced`: a larger network, cut to the widths of the uniform one by the scale of its norms.

After [Liu2017] (`easearch.growth.channel_pruning`). The widths are uniform, on the device's grid,
and just meet the limits: those of the arm `uniform`. Cut by easearch's own moves; the momentum goes
with the channels that stay, and training goes on.
At several limits one trunk is trained, the uniform network of the largest, and cut to each of them.
"""

from __future__ import annotations

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.making.compute_budget import ComputeBudget, TrainingState, annealed, train
from easearch.comparing.making.larger import SHARE, larger, told
from easearch.comparing.making.trunk import Branch, front_of
from easearch.growth.channel_pruning import removals
from easearch.growth.events import Phase
from easearch.growth.surgery import apply


def run(contest: Setting) -> Delivered:
    """Train, cut, train on.

    Raises:
        BudgetError: the compute is too little.
    """
    purse = ComputeBudget(whole=contest.compute)
    course = larger(contest, purse)
    note = told(course.graph)
    slice_to(course, contest)
    train(course, contest, purse, 1.0, annealed(contest, SHARE))
    return Delivered(model=course.model, graph=course.graph, bill=purse.bill, notes=(note,))


def front(contest: Setting) -> list[Delivered]:
    """One trunk, cut to every limit's uniform widths; the largest is not cut.

    Raises:
        BudgetError: the compute is too little.
    """

    def cut(alone: Setting, course: TrainingState, purse: ComputeBudget) -> Branch:
        slice_to(course, alone)
        return Branch(course=course)

    return front_of(contest, cut)


def slice_to(course: TrainingState, contest: Setting) -> None:
    """Cut a network to the uniform widths; nothing is computed for it.

    Raises:
        GraphError: a group of which nothing says what its channels are worth.
    """
    contest.watch(Phase(name="prune", detail="by the scale of the norms"))
    cut = removals(course.model, course.graph, contest.uniform)
    course.model, course.optimizer = apply(course.model, course.graph, cut, course.optimizer)
    course.graph = course.graph.after(cut)


SLICED = Arm(
    run=run,
    about="a larger network, cut to the uniform widths by the scale of its norms and trained on",
    front=front,
)

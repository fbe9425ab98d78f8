"""The ungrown seed, trained for as long as its few multiply-adds allow."""

from __future__ import annotations

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.uniform import from_scratch, trained
from easearch.comparing.making.compute_budget import TrainingState


def run(contest: Setting) -> Delivered:
    """One training at the seed's widths: of a network of the user's, from the weights that it comes
    with.
    """
    if contest.ready.seed.factory is None:
        return from_scratch(contest, contest.graph.widths)
    state = contest.ready.state.copied()
    return trained(
        contest, TrainingState(model=state.model, graph=state.graph, optimizer=state.optimizer)
    )


SEED = Arm(run=run, about="the ungrown seed, trained on the same compute", goes_on=True)

"""`searched`: widths chosen by Optuna, the best of them trained from scratch with what is left.

Every trial is a width for each group on the device's grid, between half and twice that of the
uniform network. What is over a limit is told as a constraint and costs nothing: it is priced before
it is trained. So is what leaves room below the limits: a short training flatters small networks,
which learn fast and end low. The others are trained for a few per cent of the compute and looked at
on the validation part, both charged.

[Bergstra2011] J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011: the
tree-structured Parzen estimator, which samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import optuna
from optuna.trial import TrialState

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.making.compute_budget import (
    ComputeBudget,
    TrainingState,
    drawn,
    shortened,
    train,
)
from easearch.comparing.making.fitting import whole_share
from easearch.data import Batches
from easearch.errors import TrainingError
from easearch.graph import stride
from easearch.growth.compute import Compute
from easearch.growth.events import Phase
from easearch.growth.training import evaluate
from easearch.preflight.ready import seeded
from easearch.roles import Range

PROXIES = 12
"""Trials that are trained."""
SHARE = 0.03
"""Of the compute, that each of them is trained for."""
LOOKING = 0.1
"""Of that, what a look at the validation part may take besides, at the uniform widths."""
ASKED = 600
"""Trials at most, with those that keep no constraint and those seen before."""
FILLED = 0.9
"""What a network takes of a limit at least, over what the uniform one does."""
LEAST, MOST = 0.5, 2.0
"""Times the uniform network's widths."""
FAR = 1.1
"""A prediction of latency that is this far over its limit is believed without measuring."""
WORST = 1e6
"""The loss (nats) of a network that did not learn: a study takes no NaN."""

Widths = dict[str, int]


@dataclass(kw_only=True)
class Search:
    """The study of one entry, while it goes on."""

    contest: Setting
    purse: ComputeBudget
    asked: int = 0
    losses: dict[tuple[int, ...], float] = field(default_factory=dict)
    """Widths, group by group -> validation loss (nats) of what was trained."""

    def __post_init__(self) -> None:
        self.steps = {
            group.name: stride(
                self.contest.graph, group.name, self.contest.ready.growing.width_step
            )
            for group in self.contest.graph.growable
            if not self._range(group.name).fixed
        }
        near = self._whole({name: self.steps[name] * self._near(name) for name in self.steps})
        uniform = self.contest.graph.with_widths(near)
        self.filled = FILLED * whole_share(uniform, self.contest.ready.bounds)

    def best(self) -> Widths:
        """Search; the widths of the lowest loss, the uniform ones where none was trained."""
        study = _study(self.contest.recipe.seed)
        study.enqueue_trial({name: self._near(name) for name in self.steps})
        while self.asked < ASKED and len(self.losses) < PROXIES:
            self._one(study)
        if not self.losses:
            return dict(self.contest.uniform)
        chosen = min(self.losses, key=lambda widths: (self.losses[widths], widths))
        return self._whole(dict(zip(self.steps, chosen, strict=True)))

    def _one(self, study: optuna.Study) -> None:
        trial = study.ask()
        self.asked += 1
        chosen = {
            name: step * trial.suggest_int(name, *self._ends(name))
            for name, step in self.steps.items()
        }
        key, widths = tuple(chosen.values()), self._whole(chosen)
        graph = self.contest.graph.with_widths(widths)
        share = whole_share(graph, self.contest.ready.bounds, far=FAR)
        trial.set_constraint("limits", share - 1)
        trial.set_constraint("filled", self.filled - share)
        if not self.filled <= share <= 1:
            study.tell(trial, state=TrialState.PRUNED)
            return
        if key not in self.losses:
            place = f"{len(self.losses) + 1} of {PROXIES}"
            self.contest.watch(Phase(name="trial", detail=f"{place}: {_told(chosen)}"))
            self.losses[key] = self._loss(widths)
        study.tell(trial, self.losses[key])

    def _loss(self, widths: Widths) -> float:
        """The validation loss after a short training, from the same beginning for every trial."""
        contest, purse = self.contest, self.purse
        course = _begun(contest, widths)
        until = purse.share + SHARE
        # The whole schedule in short: a warm-up of the recipe's length would be most of it.
        rate = shortened(contest, purse.share, until)
        try:
            train(course, contest, purse, until, rate, "search")
        except TrainingError:
            return WORST
        looked = self._looked()
        purse.charge("search", Compute.macs_of(course.graph) * looked.samples)
        # The loss: on a few hundred images accuracy is much the noisier of the two.
        loss = evaluate(course.model, looked).loss
        return loss if math.isfinite(loss) else WORST

    def _looked(self) -> Batches:
        """The validation part, or as much of it as the search can pay for: the same every time."""
        contest = self.contest
        macs = Compute.macs_of(contest.graph.with_widths(contest.uniform))
        paid = max(int(LOOKING * SHARE * contest.compute / macs), 1)
        whole = contest.ready.feed.validation()
        if paid >= whole.samples:
            return whole
        # in an order of its own: it may lie sorted by classes
        return replace(whole, shuffle=True, seed=contest.recipe.seed, limit=paid)

    def _ends(self, name: str) -> tuple[int, int]:
        """The fewest and the most steps of the grid for a group."""
        step, uniform, wanted = self.steps[name], self.contest.uniform[name], self._range(name)
        low = max(math.ceil(LEAST * uniform / step), math.ceil((wanted.low or 0) / step), 1)
        high = max(int(MOST * uniform / step), 1)
        if wanted.high is not None:
            high = min(high, wanted.high // step)
        return min(low, max(high, 1)), max(high, 1)

    def _near(self, name: str) -> int:
        """The uniform network's width, in steps."""
        low, high = self._ends(name)
        return min(max(self.contest.uniform[name] // self.steps[name], low), high)

    def _range(self, name: str) -> Range:
        return self.contest.ready.growing.widths.get(name, Range())

    def _whole(self, chosen: Widths) -> Widths:
        return {**self.contest.uniform, **chosen}


def run(contest: Setting) -> Delivered:
    """Search, then train the best.

    Raises:
        BudgetError: the compute is too little.
    """
    purse = ComputeBudget(whole=contest.compute)
    search = Search(contest=contest, purse=purse)
    widths = search.best()
    course = _begun(contest, widths)
    train(course, contest, purse, 1.0, shortened(contest, purse.share, 1.0))
    uniform = {name: contest.uniform[name] for name in search.steps}
    chosen = {name: widths[name] for name in search.steps}
    return Delivered(
        model=course.model,
        graph=course.graph,
        bill=purse.bill,
        notes=(
            f"{search.asked} networks were asked for, {len(search.losses)} of them trained for a "
            f"while; chosen: {_told(chosen)} (uniform: {_told(uniform)})",
        ),
    )


def _begun(contest: Setting, widths: Widths) -> TrainingState:
    """A network from scratch, from the same draws whatever was trained before."""
    with seeded(contest.recipe):
        return drawn(contest.ready, widths)


def _study(seed: int) -> optuna.Study:
    """In memory, and silent."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed)
        return optuna.create_study(direction="minimize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(before)


def _told(widths: Widths) -> str:
    return ", ".join(f"{name} {width}" for name, width in widths.items())


SEARCHED = Arm(
    run=run,
    about="widths chosen by Optuna on short trainings, the best from scratch with what is left",
)

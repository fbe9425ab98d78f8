"""The growth loop: train, score, select, grow, ... and train at the end.

Criterion, meters and selector are arguments; the loop knows them by their roles. Schedule by
docs/methods.md, 10: grow at a constant high rate, and anneal once, after the last growth. A plan is
taken with one common step, found by a line search on the measured loss: single gains are exact,
sums of many are not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from easearch.errors import TrainingError
from easearch.graph import Graph
from easearch.growth.checked import trace
from easearch.growth.compute import Compute, counted
from easearch.growth.events import Epoch, Note, Phase, Progress, Step, Watcher
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.hours import Hours
from easearch.growth.planning import Growth, Planner, Verify
from easearch.growth.state import Clock, State
from easearch.growth.step import best, searched
from easearch.growth.stream import step_compute, stream
from easearch.growth.targets import Floors, Target, raised
from easearch.growth.training import Feed, Quality, Training, evaluate, recalibrate, train_epoch
from easearch.roles import Bound, Criterion, Meter, Selector

DIVERGED = 10.0
"""A mean loss of an epoch above so many times that of guessing is told as a divergence."""
RISE = 0.01
"""A step is taken if it raises the loss by less than this share: only a step parts the copies of a
split.
"""


@dataclass
class Grower:
    """One run of the loop.

    `run` goes from the seed to the trained network; `retry` comes back to a point before a growth,
    with tighter limits, when the exported file turned out too dear. `left` is called with
    the state at the end of each stage, before the network grows.
    """

    state: State
    sample: Tensor
    feed: Feed
    criterion: Criterion
    selector: Selector
    targets: Sequence[Target]
    """One a growth, or, of a trunk that does not grow, one a network of its front."""
    meters: Sequence[Meter]
    training: Training
    growing: GrowthSchedule
    watch: Watcher
    verify: Verify
    left: Callable[[State], None]
    floors: Floors | None = None
    """Widths below which no group should stay (`growth.even`)."""
    annealed_from: float | None = None
    """The epoch from which on the rate falls; None: that of the last growth."""
    history: list[Epoch] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    compute: Compute = field(default_factory=Compute)
    before: list[State] = field(default_factory=list)
    """The state before each growth, to come back to."""
    began: Mapping[str, float] = field(default_factory=dict)
    """Of a branch: the compute by purpose that had been spent where it begins."""
    seed_widths: Mapping[str, int] = field(default_factory=dict)
    """Where floors count from; none: the widths it begins with."""
    again: Callable[[float], None] | None = None
    """Of a branch that is cut: what takes the place of growing again (`retry`)."""
    chance: float = math.inf
    """Mean loss of guessing (nats): a training far above it has diverged."""
    diverged: bool = False
    """Whether an epoch's mean loss was far above that of guessing."""

    def __post_init__(self) -> None:
        self._started = time.perf_counter()
        self._bills: dict[str, tuple[dict[str, int], float]] = {}
        seed = self.state.graph
        self.seed_widths = self.seed_widths or seed.widths
        self._seed_costs = {b.meter.name: self._price(b.meter, seed) for b in self.bounds}
        self.seconds: dict[str, float] = {}
        self._abandoned = 0.0
        """Multiply-adds of ways that were given up: off the clock, on the bill."""

    @property
    def bounds(self) -> Sequence[Bound]:
        """The limits that the last growth goes towards."""
        return self.targets[-1].bounds

    @property
    def now(self) -> float:
        """Epochs that have passed."""
        return self._hours.now(self.compute.total - self._abandoned)

    def run(self) -> None:
        """From the seed to the trained network."""
        for stage, at in enumerate(self.growing.at):
            self.train_until(at)
            self.grow(stage)
        if self.now >= self.training.epochs:
            left = "no compute is left to train what was grown: score fewer images, or train longer"
            self.watch(Note(text=left))
        self.train_until(self.training.epochs)

    def grow(self, stage: int) -> None:
        """One growth, from the end of the present stage."""
        self.left(self.state)
        self.state.spent = self.compute.total - self._abandoned
        self.before.append(self.state.copied())
        self._grow(stage, 1.0)

    def retry(self, tighter: float) -> None:
        """Again from the last state within limits `tighter` times what they are, in one growth."""
        fitting = [state for state in self.before if self._fits(state.graph, tighter)]
        self.state = (fitting or self.before[:1])[-1].copied()
        self._abandoned = self.compute.total - self.state.spent
        self.history = [row for row in self.history if row.epoch <= self.now * (1 + 1e-9)]
        self.steps = self.steps[: self.state.stage]
        self.before = self.before[: self.state.stage + 1]
        (self.again or partial(self._grow, len(self.growing.at) - 1))(tighter)
        self.train_until(self.training.epochs)

    def fall_back(self) -> bool:
        """Back to the end of the last stage whose network is better than guessing, if there is one.

        Nothing is trained: a training that came to no finite loss ends here.
        """
        while self.before:
            self.state = self.before[-1].copied()
            rows = [row for row in self.history if row.stage == self.state.stage]
            if rows and rows[-1].validation_loss < self.chance:
                self.steps = self.steps[: self.state.stage]
                self.history = [row for row in self.history if row.stage <= self.state.stage]
                return True
            self.before.pop()
        return False

    @property
    def _hours(self) -> Hours:
        return Hours(training=self.training, feed=self.feed)

    # --- one growth round

    def _grow(self, stage: int, tighter: float) -> None:
        state, clock = self.state, Clock()
        now, before = self.now, state.graph
        epoch = state.epoch + stage  # two growths may fall into one pass
        self.watch(Phase(name="score", detail=f"growth {stage + 1} of {len(self.growing.at)}"))
        with counted() as work:
            scores = self.criterion.score(
                state.model, before, self.feed.scoring(epoch), F.cross_entropy
            )
        self.compute.scoring += work.macs
        if (doubt := getattr(scores, "doubt", None)) is not None:
            self.watch(Note(text=f"growth {stage + 1}: {doubt}"))
        clock.lap("score")
        self.watch(Phase(name="select"))
        target = self.targets[stage]
        bounds = [self._stage_bound(bound, target.share, tighter) for bound in target.bounds]
        growth = self.planned(scores, state.graph, bounds, stage)
        clock.lap("select")
        self.watch(Phase(name="grow", detail=str(growth)))
        searching = self.feed.searching(epoch)
        with counted() as work:
            tried = self._line_search(growth, searching)
        self.compute.search += work.macs
        clock.lap("search")
        factor = best(tried, RISE)
        state.model, state.optimizer = growth.of(state.model, before, factor, state.optimizer)
        state.graph = trace(state.model, self.sample)
        state.stage = len(self.steps) + 1
        clock.lap("surgery")
        loss_before, kept_loss = dict(tried)[0.0], dict(tried)[factor]
        with counted() as work:
            recalibrate(state.model, self.feed.scoring(epoch))
        self.compute.search += work.macs
        step = Step(
            round=state.stage,
            epoch=now,
            widths_before=before.widths,
            widths_after=state.graph.widths,
            costs_before={m.name: self._price(m, before) for m in self.meters},
            costs_after={m.name: self._price(m, state.graph) for m in self.meters},
            limits={bound.meter.name: bound.limit for bound in bounds},
            kept=loss_before - kept_loss,
            factor=factor,
            line_search=tuple(sorted(one for one in tried if math.isfinite(one[1]))),
            loss_before=loss_before,
            loss_after=evaluate(state.model, searching).loss,
            **growth.facts(),
            held_out=getattr(scores, "held_out", None),
            rank_correlation=getattr(scores, "rank_correlation", None),
            images=getattr(scores, "images", 0),
            seconds=clock.laps,
        )
        self._spend(clock.laps)
        self.steps.append(step)
        self.watch(step)

    def planned(
        self, scores: Any, graph: Graph, bounds: Sequence[Bound], stage: int | None = None
    ) -> Growth:
        """What to grow of a graph within these bounds, of which candidates.

        Args:
            stage: which growth it is; None: the network that is delivered.
        """
        planner = Planner(
            round="the network" if stage is None else f"growth {stage + 1}",
            selector=self.selector,
            width_step=self.growing.width_step,
            layers=self.growing.layers,
            verify=self.verify,
            price=self._price,
            told=lambda text: self.watch(Note(text=text)),
        )
        last = len(self.growing.stages) - 1
        ranges = self.growing.ranges(last if stage is None else stage, self.seed_widths)
        if self.floors is not None:
            ranges = raised(ranges, self.floors(bounds), graph)
        product = stage is None or self.targets[stage].product
        return planner.growth(scores, graph, bounds, ranges, product)

    def _line_search(self, growth: Growth, batches: Any) -> list[tuple[float, float]]:
        """(factor, loss) for the silent growth and every factor."""
        state = self.state

        def loss_of(factor: float) -> float:
            grown = growth.of(state.model, state.graph, factor) if factor else state.model
            return evaluate(grown, batches).loss

        return searched(loss_of, () if growth.silent else self.growing.line_search)

    def _stage_bound(self, bound: Bound, share: float, tighter: float) -> Bound:
        """The bound of a stage: a share of the way from the seed's cost to the limit."""
        seed = self._seed_costs[bound.meter.name]
        limit = seed + share * (bound.limit * tighter - seed)
        return replace(bound, limit=self._floor(bound, limit))

    def _fits(self, graph: Graph, tighter: float) -> bool:
        return all(self._price(b.meter, graph) <= b.limit * tighter for b in self.bounds)

    def _floor(self, bound: Bound, limit: float) -> float:
        """No limit below what the network costs already: it would leave nothing to choose."""
        return max(limit, self._price(bound.meter, self.state.graph))

    # --- training

    def train_until(self, moment: float) -> None:
        """Train until so many epochs have passed."""
        self.watch(Phase(name="train", detail=f"to epoch {moment:g} of {self.training.epochs:g}"))
        each = self._hours.each(self.compute.macs_of(self.state.graph))
        while (steps := self._hours.steps(self.now, moment, each, self.state.batches)) > 0:
            self._train(steps, each)

    def _train(self, steps: int, each: float) -> None:
        """So many steps, each of which takes `each` epochs."""
        state, how, now, feed = self.state, self.training, self.now, self.feed
        began = time.perf_counter()
        annealed_from = self.annealed_from
        if annealed_from is None:
            annealed_from = max([how.hold * how.epochs, *self.growing.at[-1:]])

        def rate(number: int) -> float:
            return how.rate_at(now + (number + 0.5) * each, annealed_from)

        def watch(number: int, loss: float) -> None:
            at, spent = now + (number + 1) * each, time.perf_counter() - began
            self.watch(
                Progress(
                    stage=state.stage,
                    stages=len(self.growing.at),
                    epoch=at,
                    epochs=how.epochs,
                    loss=loss,
                    seconds_left=spent / (number + 1) * max(how.epochs - at, 0.0) / each,
                )
            )

        row = stream(feed, state.batches, steps)
        try:
            trained = train_epoch(
                state.model, state.optimizer, row, rate, how.label_smoothing, watch
            )
        except TrainingError as error:
            raise self._at(error, now) from error
        self._spend({"training": time.perf_counter() - began})
        self.compute.training += steps * step_compute(self.compute.macs_of(state.graph), feed)
        state.batches += steps
        state.epoch = state.batches // feed.steps
        self._record(trained, rate(steps - 1))

    def _record(self, trained: Quality, rate: float) -> None:
        state = self.state
        seen = evaluate(state.model, self.feed.validation())
        if not math.isfinite(seen.loss):
            raise self._at(
                TrainingError(
                    f"the validation loss is {seen.loss} at a learning rate of {rate:.3g}; "
                    "say a lower training.rate or a longer training.warmup"
                ),
                self.now,
            )
        row = Epoch(
            stage=state.stage,
            epoch=self.now,
            rate=rate,
            loss=trained.loss,
            accuracy=trained.accuracy,
            validation_loss=seen.loss,
            validation_accuracy=seen.accuracy,
            costs={meter.name: self._price(meter, state.graph) for meter in self.meters},
            limits={bound.meter.name: bound.limit for bound in self.bounds},
            compute=self.compute.total,
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(row)
        self.watch(row)
        if row.loss > DIVERGED * self.chance and not self.diverged:
            self.diverged = True
            self.watch(
                Note(
                    text=f"the training diverged: a mean loss of {row.loss:.3g} in stage "
                    f"{row.stage}, until epoch {row.epoch:.3g}, at a learning rate of {rate:.3g}, "
                    f"is over {DIVERGED:g} times that of guessing, {self.chance:.3g}; "
                    "say a lower training.rate or a longer training.warmup"
                )
            )

    def _at(self, error: TrainingError, epoch: float) -> TrainingError:
        return TrainingError(f"stage {self.state.stage}, epoch {epoch:.3g}: {error}")

    # --- bookkeeping

    def _price(self, meter: Meter, graph: Graph) -> float:
        """The meter's total, asked once a graph: the loop wants it every epoch."""
        widths, cost = self._bills.get(meter.name, ({}, 0.0))
        if widths != graph.widths:
            cost = meter.cost(graph).total
            self._bills[meter.name] = (graph.widths, cost)
        return cost

    def _spend(self, laps: Mapping[str, float]) -> None:
        for name, seconds in laps.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

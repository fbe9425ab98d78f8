"""A run made ready: everything that can be refused is refused here, before training and writing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from easearch.budget import Budget, find_meter
from easearch.budget.time_cap import TimeCap
from easearch.budget.unit_check import Reach
from easearch.data import Dataset
from easearch.errors import BudgetError, DeviceError, RecipeError
from easearch.feed import DataFeed, data_of
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Note, Phase, Watcher
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.state import State, begin
from easearch.growth.stream import step_compute
from easearch.growth.targets import Target, towards
from easearch.growth.training import Training
from easearch.preflight.points import beyond, budgets_of, legs, priced
from easearch.preflight.reach import check_floors, widest
from easearch.preflight.schedule import growing_of, scheduled, training_of
from easearch.recipe import Recipe
from easearch.record import evidence_of
from easearch.roles import Bound, Meter
from easearch.seed import Seed, own_factory, seed_of

REPORTED = ("latency", "macs", "params", "memory")
"""Meters whose numbers a run tells, whether or not they have a limit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ready:
    """A run that may begin: its parts, and limits that were held against what growth can do."""

    recipe: Recipe
    device: str
    """Where it trains: `cpu` or `cuda`."""
    data: Dataset
    feed: DataFeed
    sample: Tensor
    """(1, C, H, W) zeros, on the CPU."""
    seed: Seed
    state: State
    training: Training
    growing: GrowthSchedule
    budget: Budget
    """Its limits are those of the largest network."""
    points: tuple[tuple[Bound, ...], ...]
    """The limits of every network that the run delivers, smallest first; one, unless the recipe
    asks for a front. The meters are the same in each, in the same order.
    """
    meters: Sequence[Meter]
    """The bounds' own first, then the others that are reported."""
    reaches: Sequence[Reach]
    """A reach a bound of the largest network."""
    notes: Sequence[str]
    cap: TimeCap
    """What was estimated since the time for measuring was up."""
    started: float
    """`time.perf_counter()` when it began to be made ready."""
    loaded: float
    """Seconds until the data were there and the seed was built."""
    evidence: Mapping[str, Any] | None = None
    """What the recipe's `evidence` holds."""

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The limits of the largest network, of the only one where there is no front."""
        return self.points[-1]

    def drawn(self, widths: Mapping[str, int]) -> State:
        """A network like the seed at these widths, its weights drawn anew, before its first epoch.

        Raises:
            GraphError: a group that the seed does not have.
        """
        model = self.seed.fresh(self.state.model, self.state.graph, widths)
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return begin(model, self.sample.to(self.device), self.training)

    @property
    def targets(self) -> list[Target]:
        """What every growth goes towards: in a front the limits of one network after another."""
        if len(self.points) > 1:
            return [Target(bounds=bounds) for bounds in self.points]
        return towards(self.bounds, self.growing.stages)


def make_ready(recipe: Recipe, watch: Watcher, cap_s: float = math.inf) -> Ready:
    """Load the data, build the seed, price it, and hold every limit against what growth can do.

    Args:
        recipe: what is asked for.
        watch: is told what happens.
        cap_s: seconds of measuring, past which operators are estimated.

    Raises:
        RecipeError: no CUDA device, a seed that does not fit the data.
        BudgetError: a limit that the seed exceeds, or that was written in another unit than meant;
            a network that cannot grow.
        DataError: the data cannot be had.
        DeviceError: the device, or its profile, cannot price the network.
    """
    started = time.perf_counter()
    device, evidence = training_device(recipe), evidence_of(recipe)
    factory = own_factory(recipe)
    watch(Phase(name="load", detail=recipe.data.name))
    data = data_of(recipe)
    seed = seed_of(recipe, factory, data)
    sample = torch.zeros(1, *data.shape)
    model = seed.build()
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = training_of(recipe)
    state = begin(model, sample.to(device), training)
    loaded = time.perf_counter() - started
    feed = DataFeed(dataset=data, recipe=recipe, device=device)
    budgets = budgets_of(recipe)
    growing = growing_of(recipe, state.graph, _width_step(recipe, budgets[-1], watch))
    wider = widest(state.graph, growing)
    watch(Phase(name="measure", detail=f"the seed on {recipe.budget.device}"))
    cap = TimeCap(cap_s, lambda done, of: watch(Phase(name="measure", detail=_operators(done, of))))
    points = priced(budgets, state.graph, wider, legs(recipe), cap)
    watch(Phase(name="measure", detail="the uniform network within the limits"))
    growing, training = scheduled(recipe, state.graph, points, growing, training, feed.samples)
    check_floors(state.graph, growing, points[-1])
    _check_steps(state.graph, points, growing, training, feed)
    reaches = [Reach(meter=bound.meter, graphs=(state.graph, *wider)) for bound in points[-1]]
    meters, untold = _meters(recipe, points[-1], state.graph, cap)
    notes = [*data.notes, *beyond(points, reaches, legs(recipe)), *untold]
    for note in notes:
        watch(Note(text=note))
    return Ready(
        recipe=recipe,
        device=device,
        data=data,
        feed=feed,
        sample=sample,
        seed=seed,
        state=state,
        training=training,
        growing=growing,
        budget=budgets[-1],
        points=points,
        meters=meters,
        reaches=reaches,
        notes=notes,
        cap=cap,
        started=started,
        loaded=loaded,
        evidence=evidence,
    )


def _check_steps(
    graph: Graph,
    points: Sequence[Sequence[Bound]],
    growing: GrowthSchedule,
    training: Training,
    feed: DataFeed,
) -> None:
    """Refuse a run whose compute is not enough for a step of what it delivers.

    That network's multiply-adds are taken to grow as the first limit that stops it does.

    Raises:
        BudgetError: with how many steps there are.
    """
    whole, step = training.whole, step_compute(Compute.macs_of(graph), feed)
    if whole < step:
        raise BudgetError(
            f"training.compute: expected enough for a training step of the seed, {step:.3g} "
            f"multiply-adds, got {whole:.3g}; say more, or leave it out"
        )
    times = min(bound.limit / bound.meter.cost(graph).total for bound in points[-1])
    left = whole * (1 - max(growing.at, default=0.0) / training.epochs)
    steps = left / (step * max(times, 1.0))
    if steps < 1:
        raise BudgetError(
            f"expected one training step or more of the network that is delivered, got about "
            f"{steps:.2g} of {feed.samples:,} pictures in {feed.steps} batches an epoch; say more "
            "training.epochs, a smaller training.batch_size, or an earlier growth.at"
        )


@contextmanager
def seeded(recipe: Recipe) -> Iterator[None]:
    """Torch's own generators at the recipe's seed, and its threads; afterwards as they were."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        if recipe.threads is not None:
            torch.set_num_threads(recipe.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _width_step(recipe: Recipe, budget: Budget, watch: Watcher) -> int:
    """The recipe's, or the device's."""
    if recipe.growth.width_step is not None:
        return recipe.growth.width_step
    watch(Phase(name="measure", detail="the step of widths"))
    return budget.step()


def _operators(done: int, total: int) -> str:
    return f"{done:,} of {total:,} operators"


def _meters(
    recipe: Recipe, bounds: Sequence[Bound], graph: Graph, cap: TimeCap
) -> tuple[list[Meter], list[str]]:
    """The meters that a run tells of, and why others are left out."""
    meters, untold = {bound.meter.name: bound.meter for bound in bounds}, []
    for name in REPORTED:
        if name in meters:
            continue
        try:
            meter = find_meter(name, recipe.budget.device, recipe.budget.precision, cap)
            meter.cost(graph)
        except DeviceError as error:
            untold.append(f"{name} is not told of, since it has no limit and no price: {error}")
        else:
            meters[name] = meter
    return list(meters.values()), untold


def training_device(recipe: Recipe) -> str:
    """Where a recipe trains: `cpu` or `cuda`.

    Raises:
        RecipeError: it asks for a CUDA device, and there is none.
    """
    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        raise RecipeError("device: expected a CUDA device, got none; say `device: cpu` or `auto`")
    return "cuda" if recipe.device != "cpu" and there else "cpu"

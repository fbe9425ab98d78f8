"""What a few steps of a run take, timed on its own data: one network's pace, and the rates between.

Every number is the smallest of a few repeats after one that warms up: a run on a machine with
other work takes longer.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from easearch.budget.time_cap import TimeCap
from easearch.data import Batches
from easearch.feed import DataFeed
from easearch.graph import Graph
from easearch.growth.compute import Compute, counted
from easearch.growth.training import Training, evaluate, train_epoch
from easearch.moves import Candidate
from easearch.record import peak_memory_mb
from easearch.roles import Criterion
from easearch.scoring.sample_size import FIRST

REPEATS = 3
LONG = 0.4
"""Seconds that one repeat should take: shorter ones are all overhead."""
MOST = 16
"""Batches in one repeat at most."""
FEW, MORE = 2, 8
"""Micro-batches of the two scorings from which the time of a whole one follows."""
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of one network's parts, and its multiply-adds a sample."""

    macs: float
    step: float
    """A training batch, with the loading and augmenting of its samples."""
    validated: float
    """A sample of the validation part."""
    searched: float
    """A sample of the line search."""
    share: float
    """Of one core, that this process had while it trained: well below 1 on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One scoring of one network: seconds and multiply-adds."""

    macs: float
    """A sample's forward pass, to tell networks apart."""
    seconds: float
    work: float
    peak_mb: float
    """Peak memory, as `peak_mb` tells it."""

    def scaled(self, macs: float) -> Scored:
        """A scoring of a network of so many multiply-adds, in proportion."""
        ratio = macs / self.macs
        return dataclasses.replace(
            self, macs=macs, seconds=self.seconds * ratio, work=self.work * ratio
        )


def clocked(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of one call, and what it returned; what a GPU still does is waited for."""
    _settle()
    began = time.perf_counter()
    result = work()
    _settle()
    return time.perf_counter() - began, result


def pace_of(
    model: nn.Module,
    graph: Graph,
    feed: DataFeed,
    training: Training,
    cap: TimeCap | None = None,
) -> Pace:
    """The pace of a network. Its weights stay, the running statistics of its norms do not.

    Past the cap nothing is repeated.
    """
    cap = cap or TimeCap()
    optimizer = training.optimizer(model)

    def train(batches: int) -> Any:
        some = itertools.islice(feed.training(0), batches)
        return train_epoch(model, optimizer, some, lambda _: 0.0, 0.0, lambda *_: None)

    def look(number: int) -> Any:
        return evaluate(model, itertools.islice(validation, number))

    def search(number: int) -> Any:
        with counted():  # as the run counts what it spends on searching, which takes time
            return evaluate(model, itertools.islice(searching, number))

    searching, validation = feed.searching(0), feed.validation()
    began, worked = time.perf_counter(), time.process_time()
    step = _each(train, feed.steps, cap)
    share = (time.process_time() - worked) / (time.perf_counter() - began)
    return Pace(
        macs=Compute.macs_of(graph),
        step=step,
        validated=_each(look, len(validation), cap) * len(validation) / validation.samples,
        searched=_each(search, len(searching), cap) * len(searching) / searching.samples,
        share=share,
    )


def scored(
    model: nn.Module,
    graph: Graph,
    feed: DataFeed,
    criterion: Criterion,
    cap: TimeCap | None = None,
) -> tuple[Scored, list[Candidate]]:
    """What scoring the network on all of `growth.images` takes, from two smaller ones; the
    candidates of the larger. For "auto" the most: every attempt, up to all samples that there are.
    Past the cap there is one, and the whole is taken in proportion.
    """
    batches = feed.scoring(0)
    sizes = sorted({min(number, len(batches)) for number in (FEW, MORE)})
    runs: dict[int, tuple[float, float, float]] = {}
    while len(runs) < len(sizes):
        size = sizes[len(runs)]
        some = dataclasses.replace(batches, limit=min(size * batches.batch_size, batches.samples))
        forget_peak(feed.device)
        spent, (scores, done) = clocked(partial(_scored, model, graph, some, criterion))
        runs[size] = spent, done, peak_mb(feed.device)
        if cap is not None and cap.over and len(runs) < len(sizes):
            # the first has warmed up: the same again tells more than it did
            spent, (scores, done) = clocked(partial(_scored, model, graph, some, criterion))
            runs[size] = spent, done, peak_mb(feed.device)
            sizes = sizes[: len(runs)]
    seconds, work, peaks = ([run[part] for run in runs.values()] for part in range(3))
    tries = [len(batches)]
    if feed.recipe.growth.images == "auto":
        tries = [math.ceil(n / batches.batch_size) for n in attempts(batches.samples)]
    whole = [sum(_line(sizes, values, n) for n in tries) for values in (seconds, work)]
    # What a criterion keeps between its passes is bounded; the rest does not grow with the samples.
    kept = float(getattr(criterion, "memory", math.inf)) / 1e6
    found = Scored(
        macs=Compute.macs_of(graph),
        seconds=whole[0],
        work=whole[1],
        peak_mb=min(_line(sizes, peaks, len(batches)), peaks[-1] + kept)
        if len(sizes) > 1
        else peaks[0],
    )
    return found, scores


def attempts(most: int) -> list[int]:
    """Samples of every attempt that "auto" makes at most (`easearch.scoring.sample_size`)."""
    found = [min(FIRST, most)]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def peak_mb(device: str) -> float:
    """Megabytes: the largest that this process has been, or on a GPU torch's tensors there since
    `forget_peak`.
    """
    return torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else peak_memory_mb()


def forget_peak(device: str) -> None:
    """Begin anew with the GPU's peak; a process cannot forget its own."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def step_peak_mb(model: nn.Module, feed: DataFeed, training: Training) -> float:
    """Peak memory while the network takes a training step."""
    forget_peak(feed.device)
    batch = itertools.islice(feed.training(0), 1)
    train_epoch(model, training.optimizer(model), batch, lambda _: 0.0, 0.0, lambda *_: None)
    return peak_mb(feed.device)


def between(macs: float, at: Sequence[float], values: Sequence[float]) -> float:
    """The value of a network with so many multiply-adds, between those of measured ones."""
    order = np.argsort(at)
    return float(np.interp(macs, np.asarray(at)[order], np.asarray(values)[order]))


def _scored(
    model: nn.Module, graph: Graph, batches: Batches, criterion: Criterion
) -> tuple[list[Candidate], float]:
    with counted() as work:
        scores = criterion.score(model, graph, batches, F.cross_entropy)
    return scores, work.macs


def _each(work: Callable[[int], Any], there: int, cap: TimeCap) -> float:
    """Seconds a batch of work on a number of them, of which `there` are there."""
    work(1)
    first, _ = clocked(lambda: work(1))
    number = max(1, min(round(LONG / first), MOST, there))
    found = [first]
    for _ in range(REPEATS):
        if cap.over:
            break
        found.append(clocked(lambda: work(number))[0] / number)
    return min(found)


def _line(sizes: Sequence[int], values: Sequence[float], size: int) -> float:
    """The value at a size, on the line through two others; in proportion where there is one."""
    if len(sizes) == 1:
        return values[0] * size / sizes[0]
    slope = max(values[1] - values[0], 0.0) / (sizes[1] - sizes[0])
    return values[1] + slope * (size - sizes[1])


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()

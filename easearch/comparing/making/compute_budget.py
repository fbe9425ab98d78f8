"""What an entry has spent of its compute, and training that stops when a share of it is spent.

The clock of an entry is its compute: after half of it, half of the recipe's epochs have passed,
whatever the width that it went into. So all training of an entry can follow one schedule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import nn
from torch.optim import Optimizer

from easearch.comparing.arm import Setting
from easearch.errors import BudgetError, TrainingError
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Phase, Progress
from easearch.growth.stream import step_compute, stream
from easearch.growth.training import train_epoch
from easearch.preflight.ready import Ready

Rate = Callable[[float], float]
"""Learning rate when this share of the entry's compute is spent."""


@dataclass
class ComputeBudget:
    """The compute of one entry: multiply-adds spent, by purpose."""

    whole: float
    bill: dict[str, float] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """All that was charged."""
        return sum(self.bill.values())

    @property
    def share(self) -> float:
        """The same, of the whole."""
        return self.spent / self.whole

    def charge(self, purpose: str, macs: float) -> None:
        """Pay for work that was counted."""
        self.bill[purpose] = self.bill.get(purpose, 0.0) + macs


@dataclass
class TrainingState:
    """A network on its way through the training data."""

    model: nn.Module
    graph: Graph
    optimizer: Optimizer
    batches: int = 0
    """How many it has seen: it goes on with the next one of the seed's row."""


def drawn(ready: Ready, widths: Mapping[str, int]) -> TrainingState:
    """A fresh network at these widths (`Ready.drawn`)."""
    state = ready.drawn(widths)
    return TrainingState(model=state.model, graph=state.graph, optimizer=state.optimizer)


def annealed(contest: Setting, since: float) -> Rate:
    """Warm-up, the constant rate, and from the share `since` of the compute on one cosine to 0."""
    training = contest.ready.training
    epochs = training.epochs
    return lambda share: training.rate_at(share * epochs, max(since * epochs, training.warmup))


def scheduled(contest: Setting) -> Rate:
    """The recipe's schedule of a training from its beginning to its end."""
    return annealed(contest, contest.ready.training.hold)


def shortened(contest: Setting, begin: float, end: float) -> Rate:
    """The whole schedule of a training from scratch, from warm-up to zero, between two shares of
    the compute.
    """
    whole = scheduled(contest)
    return lambda share: whole((share - begin) / (end - begin))


def falling(contest: Setting, begin: float, end: float) -> Rate:
    """The anneal of one branch of a front: from the highest rate by one cosine to 0, between two
    shares of the compute.
    """
    training = contest.ready.training
    epochs = training.epochs
    until = replace(training, epochs=end * epochs, warmup=0.0)
    return lambda share: until.rate_at(share * epochs, begin * epochs)


def train(
    course: TrainingState,
    contest: Setting,
    purse: ComputeBudget,
    until: float,
    rate: Rate,
    purpose: str = "training",
) -> None:
    """Train in whole steps as long as no more than the share `until` of the compute is spent.

    A step is charged as three forward passes over its samples, one that fails too.

    Raises:
        BudgetError: what is left is not enough for one step.
        TrainingError: the loss of a batch is no finite number; the steps up to it are charged.
    """
    ready, began, start = contest.ready, time.perf_counter(), purse.spent
    step = step_compute(Compute.macs_of(course.graph), ready.feed)
    # the tolerance is for shares that are no binary fractions
    steps = int((until * purse.whole - start) / step + 1e-9)
    if steps < 1:
        raise BudgetError(
            f"expected compute for one training step of {step:.3g} multiply-adds or more, got "
            f"{until * purse.whole - start:.3g}; train longer, or leave this arm out"
        )
    contest.watch(Phase(name="train", detail=f"{steps} steps, of {purpose}"))

    done = 0

    def told(number: int, loss: float) -> None:
        nonlocal done
        done, epochs = number + 1, ready.training.epochs
        contest.watch(
            Progress(
                stage=0,
                stages=0,
                epoch=(start + done * step) / purse.whole * epochs,
                epochs=epochs,
                loss=loss,
                seconds_left=(time.perf_counter() - began) / done * (steps - done),
            )
        )

    try:
        train_epoch(
            course.model,
            course.optimizer,
            stream(ready.feed, course.batches, steps),
            lambda number: rate((start + (number + 0.5) * step) / purse.whole),
            ready.training.label_smoothing,
            told,
        )
    except TrainingError:
        done += 1
        raise
    finally:
        course.batches += done
        purse.charge(purpose, done * step)

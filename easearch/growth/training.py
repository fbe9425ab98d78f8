"""One plain training loop: SGD with Nesterov momentum, label smoothing, a constant rate, then one
cosine.

Device-agnostic: it trains where the model is. docs/methods.md, 10: never anneal before a growth, so
the rate stays constant until the last one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from easearch.checks.batches import samples_in
from easearch.errors import BudgetError, TrainingError
from easearch.roles import Batches
from easearch.structures import call
from easearch.tracing.program import evaluating

RECALIBRATED = 4096
"""Samples that tell the mean and the variance of a channel well enough."""


class Feed(Protocol):
    """Where a run's samples come from. Every pass over one of these gives the same batches."""

    @property
    def samples(self) -> int:
        """Samples in one training epoch."""

    @property
    def steps(self) -> int:
        """Batches in one training epoch."""

    def training(self, epoch: int) -> Batches:
        """An epoch of augmented batches, in an order of its own."""

    def scoring(self, epoch: int) -> Batches:
        """Training samples without augmentation, to score on."""

    def searching(self, epoch: int) -> Batches:
        """Other training samples, to choose the step on."""

    def validation(self) -> Batches:
        """The validation part."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained.

    Attributes:
        epochs: of the whole run.
        compute: multiply-adds of the whole run: an epoch is its share of them, and no pass over
            the data (`easearch.growth.hours`); None until limits are priced.
        rate: learning rate of the constant part.
        momentum: Nesterov momentum.
        weight_decay: on weights of two axes or more; norms and biases are not decayed.
        label_smoothing: of the training loss.
        warmup: epochs of linear increase at the very beginning.
        hold: the share of the epochs before which the rate of a network that is trained from its
            beginning to its end does not fall, whether anything grows so late or not.
    """

    epochs: float
    compute: float | None = None
    rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup: float = 1.0
    hold: float = 0.0

    @property
    def whole(self) -> float:
        """The compute, where it is known.

        Raises:
            BudgetError: it is not.
        """
        if self.compute is None:
            raise BudgetError("expected training.compute, whose shares epochs are, got none")
        return self.compute

    def optimizer(self, model: nn.Module) -> Optimizer:
        """SGD with Nesterov momentum over the model's parameters, in two groups."""
        decayed = [p for p in model.parameters() if p.dim() > 1]
        plain = [p for p in model.parameters() if p.dim() <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return SGD(groups, lr=self.rate, momentum=self.momentum, nesterov=self.momentum > 0)

    def rate_at(self, epoch: float, annealed_from: float) -> float:
        """The rate after `epoch` epochs: warm-up, constant, and from `annealed_from` on one cosine
        to zero.
        """
        if epoch < self.warmup:
            return self.rate * (epoch + 1e-2) / (self.warmup + 1e-2)
        if epoch <= annealed_from:
            return self.rate
        done = (epoch - annealed_from) / (self.epochs - annealed_from)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Mean loss (nats) and share of right answers."""

    loss: float
    accuracy: float


def train_epoch(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    rate: Callable[[int], float],
    label_smoothing: float,
    watch: Callable[[int, float], Any],
) -> Quality:
    """One pass of training.

    Args:
        rate: learning rate of the n-th batch.
        watch: called after each batch with its number and the running mean loss.

    Raises:
        TrainingError: the loss of a batch is no finite number; nothing is learned from that batch.
    """
    model.train()
    loss_sum, right, seen = 0.0, 0, 0
    for number, (inputs, targets) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate(number)
        optimizer.zero_grad(set_to_none=True)
        outputs = model(inputs)
        loss = F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at batch {number + 1} of this stretch, at a learning rate of "
                f"{rate(number):.3g}; say a lower training.rate or a longer training.warmup"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen += len(targets)
        loss_sum += value * len(targets)
        right += int((outputs.argmax(1) == targets).sum())
        watch(number, loss_sum / seen)
    return Quality(loss=loss_sum / max(seen, 1), accuracy=right / max(seen, 1))


def evaluate(model: nn.Module, batches: Batches) -> Quality:
    """Loss and accuracy in evaluation mode; the model is left as it was."""
    loss, right, seen = 0.0, 0, 0
    for outputs, targets in _outputs(model, batches):
        loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
        right += int((outputs.argmax(1) == targets).sum())
        seen += len(targets)
    return Quality(loss=loss / max(seen, 1), accuracy=right / max(seen, 1))


def _outputs(model: nn.Module, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    with evaluating(model), torch.no_grad():
        for inputs, targets in batches:
            yield model(inputs), targets


def recalibrate(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> None:
    """Measure the running statistics of every batch norm anew, as plain means over the batches, as
    many as it takes for `RECALIBRATED` samples.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    with evaluating(model), _cumulative(norms), torch.no_grad():
        for norm in norms:  # the norms alone: dropout would add its noise to them
            norm.train()
        seen = 0
        for inputs, targets in batches:
            call(model, inputs)
            seen += samples_in(inputs, targets)
            if seen >= RECALIBRATED:
                return


@contextmanager
def _cumulative(norms: list[Any]) -> Iterator[None]:
    momenta = [copy.copy(norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

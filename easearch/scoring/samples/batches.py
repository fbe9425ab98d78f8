"""Batches for scoring: checked, cut small, and parted into those that give directions and those
that give gains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easearch.checks.batches import checked, outputs_of, part_of, samples_in
from easearch.errors import ScoringError
from easearch.roles import Batches, Loss
from easearch.scoring.samples import shards
from easearch.structures import tensors

MICRO = 64
"""Samples that are worked on at once: their values stay in the caches (docs/methods.md, 5)."""


@dataclass(frozen=True)
class EveryOther:
    """Every second batch, beginning with the first (`parity` 0) or the second (1); of one batch,
    half the samples.
    """

    batches: Batches
    parity: int
    single: bool

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches of this part, in their order."""
        for number, (inputs, targets) in enumerate(self.batches):
            if self.single:
                yield part_of(inputs, targets, slice(self.parity, None, 2))
            elif number % 2 == self.parity:
                yield inputs, targets


@dataclass(frozen=True)
class Micro:
    """The same samples, `size` at a time."""

    batches: Batches
    size: int = MICRO

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The micro-batches in their order."""
        for inputs, targets in self.batches:
            yield from self.of(inputs, targets)

    def of(self, inputs: Any, targets: Any) -> Iterator[tuple[Any, Any]]:
        """One batch's."""
        for start in range(0, samples_in(inputs, targets), self.size):
            yield part_of(inputs, targets, slice(start, start + self.size))


@dataclass(frozen=True)
class First:
    """The first `samples` samples; the last batch is cut where they end."""

    batches: Batches
    samples: int

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches in their order."""
        left = self.samples
        for inputs, targets in self.batches:
            size = samples_in(inputs, targets)
            yield (inputs, targets) if size <= left else part_of(inputs, targets, slice(0, left))
            left -= size
            if left <= 0:
                return


class Steady:
    """Batches that must be the same at every pass."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._samples: int | None = None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches in their order; after the last, their samples are counted.

        Raises:
            ScoringError: there are others than before, or none and no other rank has any.
        """
        seen = 0
        for inputs, targets in self._batches:
            seen += samples_in(inputs, targets)
            yield inputs, targets
        before = seen if self._samples is None else self._samples
        if seen != before or (seen == 0 and shards.alone()):
            raise ScoringError(
                f"expected the same batches at every pass, got {before} samples first and {seen} "
                "then; pass a list, or a loader that does not run out"
            )
        self._samples = seen


def parts(batches: Batches, crossfit: bool) -> tuple[Batches, Batches]:
    """(batches for directions, batches for gains): disjoint if `crossfit`, else the same.

    Raises:
        ScoringError: no batches, batches that can be iterated only once, or too few samples to
            part.
    """
    first = checked(batches)
    if not crossfit:
        return batches, batches
    single = len(first) == 1
    if single and samples_in(*first[0]) < 2:
        raise ScoringError("cross-fitting needs two samples or more, got 1; pass crossfit=False")
    return EveryOther(batches, 0, single), EveryOther(batches, 1, single)


def prepared(
    batches: Batches, model: nn.Module, loss: Loss, crossfit: bool, *, micro: bool = True
) -> tuple[Batches, Batches]:
    """(for directions, for gains), which must be the same at every pass; in micro-batches if
    `micro`.

    Raises:
        ScoringError: as `parts`; and at a later pass, if other batches come.
    """
    return parts(Steady(in_micro(batches, model, loss) if micro else batches), crossfit)


def in_micro(batches: Batches, model: nn.Module, loss: Loss) -> Batches:
    """The samples in micro-batches, where that leaves the mean loss as it is; else the batches.

    A loss that is no plain mean over samples (weights by class, normalised a batch) or a network
    that looks at the batch as a whole is scored on the batches as they come.
    """
    inputs, targets = checked(batches)[0]
    samples = samples_in(inputs, targets)
    if samples <= MICRO:
        return batches
    micro = Micro(batches)
    try:
        with torch.no_grad():
            whole = float(loss(outputs_of(model, inputs), targets))
            cut = sum(
                float(loss(outputs_of(model, x), y)) * samples_in(x, y)
                for x, y in micro.of(inputs, targets)
            )
    except Exception:
        return batches  # one of them cannot be cut; a fault of the whole shows when it is scored
    exact = torch.finfo(_real(inputs)).eps
    same = abs(cut / samples - whole) <= 100 * exact * max(abs(whole), 1e-3)
    return micro if same else batches


def first_inputs(batches: Batches) -> Any:
    """The first batch's inputs."""
    return checked(batches)[0][0]


def _real(inputs: Any) -> torch.dtype:
    """The floating type of the inputs; float32 where they are whole numbers."""
    return next((t.dtype for t in tensors(inputs) if t.is_floating_point()), torch.float32)

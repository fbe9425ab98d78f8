"""Batches for scoring: checked once, and parted into those that give directions and those that give
gains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easearch.errors import ScoringError
from easearch.roles import Batches


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
                half = slice(self.parity, None, 2)
                yield _sliced(inputs, half), targets[half]
            elif number % 2 == self.parity:
                yield inputs, targets


def parts(batches: Batches, crossfit: bool) -> tuple[Batches, Batches]:
    """(batches for directions, batches for gains): disjoint if `crossfit`, else the same.

    Raises:
        ScoringError: no batches, batches that can be iterated only once, or too few samples to
            part.
    """
    if iter(batches) is batches:
        raise ScoringError(
            "expected batches that can be iterated more than once (a list, a DataLoader), "
            "got an iterator; pass list(batches)"
        )
    sizes = [len(targets) for _, targets in batches]
    if not sizes:
        raise ScoringError("expected at least one batch to score on, got none")
    if not crossfit:
        return batches, batches
    if sum(sizes) < 2:
        raise ScoringError("cross-fitting needs two samples or more, got 1; pass crossfit=False")
    single = len(sizes) == 1
    return EveryOther(batches, 0, single), EveryOther(batches, 1, single)


def first_inputs(batches: Batches) -> tuple[Any, ...]:
    """The first batch's inputs, as the model is called with them."""
    inputs, _ = next(iter(batches))
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)


def _sliced(inputs: Any, half: slice) -> Any:
    if isinstance(inputs, tuple | list):
        return tuple(_sliced(one, half) for one in inputs)
    return inputs[half] if isinstance(inputs, Tensor) else inputs

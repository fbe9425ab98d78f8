"""What the candidates of an over-grown network are worth: their directions learned on the loss,
then the integrated gradient of every candidate's gate.

Gates are all moved from 0 to 1 together; each multiplies what lets its candidate act (a split's
offsets, a new channel's columns). Summed over the candidates the integral is the whole network's
decrease of the loss [Wu2020b, see firefly.py].

Legend: n numbers, K candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from easearch.checks.batches import samples_in
from easearch.roles import Batches, Loss
from easearch.scoring.overgrown.births import measured
from easearch.scoring.overgrown.network import Overgrown
from easearch.scoring.overgrown.pool import Pool
from easearch.scoring.samples import shards
from easearch.scoring.samples.batches import First
from easearch.scoring.samples.evidence import Tally, completed

AT_BIRTH, AFTERWARDS = 256, 2048
"""Samples on which new channels' norms are measured, before they learn and when they have."""
ALPHA = 0.9
"""What RMSprop keeps of its squares, a step."""
SMALL = 1e-30
"""Gradients in units of the bounds are tiny; this is for those that vanish."""


class Gates:
    """A pool of candidates in their over-grown network."""

    def __init__(self, over: Overgrown, pool: Pool, loss: Loss) -> None:
        self._over, self._pool, self._loss = over, pool, loss

    def learned(self, batches: Batches, epochs: int, rate: float) -> Tensor:
        """The numbers (n,) after that many epochs on the batches, a step a batch.

        RMSprop, with a square a ball: numbers of one direction are scaled alike, so that a split's
        offset turns as the power method turns it. `rate` is in units of a candidate's bound; it
        falls with the root of the steps made.
        """
        pool = self._pool
        first = measured(self._over, pool.start * pool.unit, First(batches, AT_BIRTH))
        units = torch.where(pool.bounded, pool.projected(pool.start), first)
        squares, steps = torch.zeros_like(units), 0
        for _ in range(epochs):
            for batch in _in_turn(batches, units.device):
                steps += 1
                slope = self._slope(pool.unit * units, batch) * pool.unit
                slope = torch.where(pool.bounded, slope, 0.0)
                squares = ALPHA * squares + (1 - ALPHA) * pool.mean_square(slope)
                scale = (squares / (1 - ALPHA**steps)).sqrt().clamp(min=SMALL)
                units = pool.projected(units - rate / steps**0.5 * slope / scale)
        numbers = pool.at_gates(pool.unit * units, 0.0)
        closed = measured(self._over, numbers, First(batches, AFTERWARDS))
        return torch.where(pool.gated, pool.unit * units, closed)

    def gains(
        self,
        numbers: Tensor,
        batches: Batches,
        points: Sequence[float],
        together: Sequence[Tensor] = (),
    ) -> tuple[Tally, Tally]:
        """(K + sums,) by the integrated gradient, and by the gradient at the middle point alone.

        `together` are candidates (whole numbers) whose gains are summed, a sum each.
        """
        pool, device = self._pool, numbers.device
        size = pool.candidates + len(together)
        whole, middle = Tally(size, device=device), Tally(size, device=device)
        half = sorted(points)[len(points) // 2]

        def work() -> None:
            for inputs, targets in batches:
                total = numbers.new_zeros(size)
                samples = samples_in(inputs, targets)
                for point in points:
                    own = self._at(numbers, point, inputs, targets)
                    own = torch.cat([own, *(own[these].sum()[None] for these in together)])
                    total += own / len(points)
                    if point == half:
                        middle.add(own * samples, samples)
                whole.add(total * samples, samples)

        completed([whole, middle], work, device)
        return whole, middle

    def _at(self, numbers: Tensor, gate: float, inputs: Any, targets: Any) -> Tensor:
        """(K,): the decrease of the batch's mean loss a unit of each gate."""
        here = self._pool.at_gates(numbers, gate)
        slope = self._over.gradient(here, inputs, targets, self._loss)
        return -self._pool.by_candidate(slope * numbers)

    def _slope(self, numbers: Tensor, batch: tuple[Any, Any] | None) -> Tensor:
        """(n,): of the mean loss over the batches that the ranks have."""

        def work() -> list[Tensor]:
            if batch is None:
                return [torch.zeros_like(numbers), numbers.new_zeros(1)]
            samples = samples_in(*batch)
            slope = self._over.gradient(numbers, *batch, self._loss)
            return [slope * samples, numbers.new_full((1,), samples)]

        slope, samples = shards.together(work, numbers.device)
        return slope / samples


def _in_turn(batches: Batches, device: torch.device) -> Iterator[tuple[Any, Any] | None]:
    """The batches one by one; None while only other ranks have some."""
    own = iter(batches)
    while True:
        found: list[tuple[Any, Any]] = []

        def work(found: list[tuple[Any, Any]] = found) -> list[Tensor]:
            found.extend(islice(own, 1))
            return []

        shards.together(work, device)
        if shards.total(len(found), device) == 0:
            return
        yield found[0] if found else None

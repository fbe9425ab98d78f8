"""The largest singular vectors of every group's virtual kernel B (straight.py), by passes over the
batches.

Legend: C channels, D numbers that a channel owns, O in its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easearch.scoring.newborn.neuron_batches import filled
from easearch.scoring.newborn.straight import Straight
from easearch.scoring.samples import shards
from easearch.scoring.samples.capture import Captured
from easearch.scoring.samples.passes import Passes

MORE = 8
"""Vectors iterated beside those that are wanted."""


@dataclass(frozen=True, kw_only=True)
class Singular:
    """The largest singular values of B and their vectors, K of them."""

    sizes: Tensor
    """(K,)."""
    right: Tensor
    """(K, D): directions of incoming weights."""
    left: Tensor
    """(K, O): directions of columns."""
    samples: int


def decomposed(
    units: Sequence[Straight],
    passes: Passes,
    counts: Sequence[int],
    iterations: int,
    generator: torch.Generator,
) -> list[Singular]:
    """The top singular vectors of every group's B, by block subspace iteration: two passes over
    the batches an iteration. The last product gives the values [Rayleigh-Ritz].
    """
    limits = [min(int(unit.steered.sum()), unit.columns.numbers) for unit in units]
    lefts, rights, samples = [], [], 0
    for unit, count, limit in zip(units, counts, limits, strict=True):
        size = (min(count + MORE, limit), unit.columns.numbers)
        random = torch.randn(size, generator=generator, dtype=torch.float64)
        lefts.append(orthonormal(random.to(unit.base)))
    for _ in range(iterations):
        found, samples = swept(units, passes, lefts, Straight.back)
        rights = [orthonormal(one) for one in found]
        images, samples = swept(units, passes, rights, Straight.times)
        lefts = [orthonormal(one) for one in images]
    singular = []
    for right, image, count in zip(rights, images, counts, strict=True):
        mixed, sizes, left = torch.linalg.svd(image, full_matrices=False)
        singular.append(
            Singular(
                sizes=sizes[:count],
                right=(mixed.T @ right)[:count],
                left=left[:count],
                samples=samples,
            )
        )
    return singular


def silent(units: Sequence[Straight], passes: Passes) -> list[bool]:
    """Whether a neuron with zero incoming weights gives the readers nothing, and its gradient is
    finite: seen on one batch.
    """
    device = units[0].base.device

    def work() -> list[Tensor]:
        sizes = torch.zeros(len(units), dtype=torch.float64, device=device)
        for batch in passes:
            for number, unit in enumerate(units):
                rows = unit.base.expand(unit.width, -1)
                columns = rows.new_ones(unit.width, unit.columns.numbers)
                ahead = unit.times(torch.ones_like(rows) * unit.steered, batch.captured)
                slope = unit.back(columns, batch.captured).sum() + ahead.sum()
                sizes[number] = unit.learn(rows, batch.captured).wanted.abs().max()
                sizes[number] += slope.mul(0.0)  # not a number where one of them is not
            break
        return [sizes]

    (sizes,) = shards.together(work, device)
    return (sizes == 0).tolist()


def swept(
    units: Sequence[Straight],
    passes: Passes,
    given: Sequence[Tensor],
    product: Callable[[Straight, Tensor, Captured], Tensor],
) -> tuple[list[Tensor], int]:
    """The mean over all samples of one product for every group, and how many samples that is."""
    device = given[0].device

    def work() -> list[Tensor]:
        samples, totals = 0, [torch.zeros(0)] * len(given)
        for batch in passes:
            samples += batch.captured.samples
            for number, (unit, some) in enumerate(zip(units, given, strict=True)):
                pieces = (some[s : s + unit.width] for s in range(0, len(some), unit.width))
                found = torch.cat(
                    [
                        product(unit, filled(piece, unit.width), batch.captured)[: len(piece)]
                        for piece in pieces
                    ]
                )
                totals[number] = totals[number] + found if len(totals[number]) else found
        return [torch.tensor(float(samples), dtype=torch.float64, device=device), *totals]

    samples, *totals = shards.together(work, device)
    return [total / float(samples) for total in totals], int(samples)


# --- formulas


def orthonormal(rows: Tensor) -> Tensor:
    """Rows of length 1, orthogonal to each other, that span the same space."""
    found: Tensor = torch.linalg.qr(rows.T).Q.T
    return found

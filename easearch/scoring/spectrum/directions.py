"""From batches to both ends of every channel's spectrum: which products a solver is given.

All groups share each pass over the data. Krylov solvers want a product with the matrix of all
samples, a pass each; the published descent takes a step a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from easearch.scoring.samples import shards
from easearch.scoring.samples.passes import Batch, Part, Passes
from easearch.scoring.spectrum.eigen import SOLVERS, Ends
from easearch.scoring.spectrum.rayleigh import Rayleigh


def lockstep(
    parts: list[Part], passes: Passes, solver: str, generator: torch.Generator
) -> list[Ends]:
    """By products with the matrix of all samples, in as many passes as the slowest group takes."""
    thetas = [part.unit.theta for part in parts]
    flat = [part.unit.flat for part in parts]
    solvers = [
        SOLVERS[solver](*theta.shape, theta, generator, start)
        for theta, start in zip(thetas, flat, strict=True)
    ]
    while not all(one.done for one in solvers):
        busy = [(p, s) for p, s in zip(parts, solvers, strict=True) if not s.done]
        totals, samples = _multiplied(passes, [(p, s.vectors()) for p, s in busy])
        for (_, one), product in zip(busy, totals, strict=True):
            one.advance(product / samples)
    return [one.ends() for one in solvers]


def descend(
    parts: list[Part], passes: Passes, both: bool, generator: torch.Generator
) -> list[Ends]:
    """By the published descent; without `both`, the largest eigenvalue is not looked for (NaN)."""
    signs = (1, -1) if both else (1,)
    thetas = [part.unit.theta for part in parts]
    found = [[Rayleigh(len(t), t.shape[1], t, generator, sign) for sign in signs] for t in thetas]
    flat = [one for group in found for one in group]
    of = [part for part, group in zip(parts, found, strict=True) for _ in group]
    while not all(one.done for one in flat):
        for batch in _in_turn(passes, thetas[0].device):
            asked = [(part, one.vectors()) for part, one in zip(of, flat, strict=True)]
            totals, samples = _multiplied([batch] if batch else [], asked)
            for one, product in zip(flat, totals, strict=True):
                one.advance(product / samples)
        for one in flat:
            one.turn()
    return [_ends(group) for group in found]


def _ends(group: list[Rayleigh]) -> Ends:
    low, low_vectors = group[0].end()
    if len(group) == 1:
        nowhere = torch.full_like(low, float("nan"))
        return Ends(
            low=low,
            low_vectors=low_vectors,
            high=nowhere,
            high_vectors=torch.zeros_like(low_vectors),
        )
    high, high_vectors = group[1].end()
    return Ends(low=low, low_vectors=low_vectors, high=high, high_vectors=high_vectors)


def _in_turn(passes: Passes, device: torch.device) -> Iterator[Batch | None]:
    """The batches one by one; None while only other ranks have some."""
    own = iter(passes)
    while True:
        batch = _next(own, device)
        if shards.total(batch is not None, device) == 0:
            return
        yield batch


def _next(own: Iterator[Batch], device: torch.device) -> Batch | None:
    found: list[Batch] = []

    def work() -> list[Tensor]:
        found.extend(one for one in [next(own, None)] if one is not None)
        return []

    shards.together(work, device)
    return found[0] if found else None


def _multiplied(
    batches: Iterable[Batch], asked: list[tuple[Part, Tensor]]
) -> tuple[list[Tensor], int]:
    """Every product, summed over the samples of all ranks, and how many those are."""
    device = asked[0][1].device

    def work() -> list[Tensor]:
        products = [(part, part.product(vectors)) for part, vectors in asked]
        samples = 0
        for batch in batches:
            samples += batch.captured.samples
            for part, product in products:
                batch.multiply(part, product)
        number = torch.tensor(float(samples), dtype=torch.float64, device=device)
        return [number, *(product.total() for _, product in products)]

    number, *totals = shards.together(work, device)
    return totals, int(number)

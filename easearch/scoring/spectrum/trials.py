"""Offspring put to the test: for every channel of a unit, what each way of splitting it gains at
the step that will be taken.

Legend: C channels, D numbers that a channel owns, K schemes (signed.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from easearch.errors import ScoringError
from easearch.moves import Offset
from easearch.scoring.samples.evidence import Tally, completed
from easearch.scoring.samples.passes import Batch, Part, Passes
from easearch.scoring.spectrum.eigen import Ends
from easearch.scoring.spectrum.signed import HERE, Point, Scheme, points_of, schemes
from easearch.scoring.units.unit import Unit


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A unit's channels with the directions along which they may be split, and all schemes.

    Attributes:
        low: (C, D), as long as the step, along the eigenvector of the smallest eigenvalue.
        high: (C, D), the same for the largest.
        flat: (C,) whether the matrix is zero but for rounding: nothing bends.
    """

    unit: Unit
    low: Tensor
    high: Tensor
    flat: Tensor
    schemes: tuple[Scheme, ...]

    @classmethod
    def of(cls, unit: Unit, ends: Ends, lengths: Tensor, c: float) -> Trial:
        """The trial of these ends of the spectrum, at these lengths (C, 1).

        Raises:
            ScoringError: directions that are not finite.
        """
        low, high = lengths * ends.low_vectors, lengths * ends.high_vectors
        if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
            raise ScoringError(
                f"the splitting matrix of '{unit.group.name}' is not finite; check the weights"
            )
        reach = torch.maximum(ends.low.abs(), ends.high.abs().nan_to_num())
        return cls(
            unit=unit,
            low=torch.where((ends.low < 0).to(low.device)[:, None] | (c > 1), low, 0.0),
            high=high,
            flat=(reach <= 1e-30).to(low.device),
            schemes=schemes(c),
        )

    def at(self, point: Point) -> Tensor:
        """(C, D): the displacement of every channel."""
        along_low, along_high = point
        return along_low * self.low + along_high * self.high

    def gains(self, batch: Batch, part: Part, fisher: bool) -> Tensor:
        """(N, K, C): the decrease of every sample's loss by every scheme; with `fisher` less what
        the rest of the network takes back (`taken_back`). One row for all samples, (1, K, C), where
        they cannot be told apart.
        """
        here = batch.here(part)
        theta = self.unit.theta
        moved = {
            point: batch.phi(part, theta + self.at(point)) - here
            for point in points_of(self.schemes)
        }
        moved[HERE] = torch.zeros_like(here)
        by_sample = len(here) == batch.captured.samples
        found = []
        for scheme in self.schemes:
            terms = [a * moved[p] for a, p in zip(scheme.shares, scheme.points, strict=True)]
            change = torch.stack(terms).sum(0)
            if not by_sample:
                change = change.sum(0, keepdim=True)
            found.append(-change - taken_back(change) if fisher and by_sample else -change)
        return torch.stack(found, dim=1)

    def chosen(self, claimed: Tensor) -> Tensor:
        """(K, C): for every channel the best scheme of each number of offspring, where it gains
        more than fewer offspring do.
        """
        picked = torch.zeros_like(claimed, dtype=torch.bool)
        best = torch.zeros_like(claimed[0])
        sizes = [len(scheme.shares) for scheme in self.schemes]
        # A gain within rounding of what fewer offspring gain is not worth a channel.
        for size in sorted(set(sizes)):
            own = [number for number, other in enumerate(sizes) if other == size]
            values, index = claimed[own].max(0)
            better = (values > best * (1 + 1e-9)) & ~self.flat.to(values.device)
            rows = torch.tensor(own, device=index.device)[index]
            picked[rows[better], better.nonzero()[:, 0]] = True
            best = torch.maximum(best, values)
        return picked

    def offspring(self, number: int, channel: int) -> tuple[tuple[float, ...], tuple[Offset, ...]]:
        """Shares and offsets of one channel under one scheme."""
        scheme = self.schemes[number]
        low, high = self.low[channel], self.high[channel]
        offsets = tuple(
            {} if (p, q) == HERE else self.unit.offset(p * low + q * high) for p, q in scheme.points
        )
        return scheme.shares, offsets

    @property
    def reason(self) -> str:
        """Why no channel of the unit has a split worth anything."""
        if bool(self.flat.all()):
            return (
                "nothing bends between what writes these channels and what reads them: a split is "
                "worth nothing, a new neuron may be"
            )
        return "no direction lowers the loss: every channel is splitting stable"


def tried(parts: list[Part], trials: list[Trial], passes: Passes, fisher: bool) -> list[Tally]:
    """The gain (K, C) of every unit's schemes, over the samples of all ranks.

    Raises:
        ScoringError: batches that do not come again, or what they raise.
    """
    device = trials[0].low.device
    tallies = [Tally(len(t.schemes), t.unit.width, device=device) for t in trials]

    def work() -> None:
        for batch in passes:
            for part, trial, tally in zip(parts, trials, tallies, strict=True):
                gains, samples = trial.gains(batch, part, fisher), batch.captured.samples
                if len(gains) == samples:
                    tally.add_each(gains)
                else:
                    tally.add(gains[0], samples)

    completed(tallies, work, device)
    return tallies


# --- formulas


def taken_back(change: Tensor) -> Tensor:
    """(N, C): the second order of every sample's loss in its change (N, C) to first order.

    The curvature of the rest of the network along a change `d` of its inputs is `E[<g, d>^2]` by
    the empirical Fisher matrix `E[g g']`, which stands for the Hessian where the loss is a negative
    log-likelihood. It is of the order of the gain's square: nothing at small steps, and what makes
    large ones break their promise (docs/methods.md, 4).
    """
    return 0.5 * change.square()

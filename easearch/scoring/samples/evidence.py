"""What samples say of a mean: its value, the interval that sampling leaves it, and what each of two
disjoint halves says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from scipy.special import stdtrit
from torch import Tensor

from easearch.scoring.samples.shards import together


class Tally:
    """A mean over samples that come one by one or in blocks (micro-batches), of any number of
    quantities.

    Blocks go to the two halves in turn. Their spread gives the interval: the mean is a ratio of
    sums, and blocks are what is drawn.
    """

    def __init__(self, *shape: int, device: torch.device | str = "cpu") -> None:
        def zeros(*size: int) -> Tensor:
            return torch.zeros(*size, dtype=torch.float64, device=device)

        self._sums = zeros(2, *shape)
        self._squares, self._crossed = zeros(*shape), zeros(*shape)
        self._counts = zeros(4)
        """Samples of each half, their squares over blocks, blocks."""

    def add(self, values: Tensor, samples: int) -> None:
        """One block: the *sums* over its samples."""
        half = int(self._counts[3]) % 2
        values = values.to(self._sums)
        self._sums[half] += values
        self._squares += values.square()
        self._crossed += values * samples
        self._counts[half] += samples
        self._counts[2] += samples**2
        self._counts[3] += 1

    def add_each(self, values: Tensor) -> None:
        """Samples one by one, (N, ...): blocks of one."""
        first, number = int(self._counts[3]) % 2, len(values)
        values = values.to(self._sums)
        for half in (0, 1):
            own = values[(half - first) % 2 :: 2]
            self._sums[half] += own.sum(0)
            self._counts[half] += len(own)
        self._squares += values.square().sum(0)
        self._crossed += values.sum(0)
        self._counts[2:] += number

    def tensors(self) -> list[Tensor]:
        """All sums, to be added up over ranks."""
        return [self._sums, self._squares, self._crossed, self._counts]

    def take(self, tensors: Sequence[Tensor]) -> None:
        """The sums of all ranks in place of its own."""
        self._sums, self._squares, self._crossed, self._counts = tensors

    @property
    def samples(self) -> int:
        """Samples seen."""
        return int(self._counts[:2].sum())

    @property
    def mean(self) -> Tensor:
        """Of every quantity, over all samples."""
        return self._sums.sum(0) / self._counts[:2].sum()

    @property
    def halves(self) -> Tensor:
        """(2, ...): the means over each half; NaN for one without samples."""
        return self._sums / self._counts[:2].view(2, *[1] * (self._sums.dim() - 1))

    @property
    def interval(self) -> Tensor:
        """Half width of the 95 % interval of every mean; infinite for less than two blocks."""
        blocks, total = float(self._counts[3]), self._counts[:2].sum()
        if blocks < 2:
            return torch.full_like(self._squares, float("inf"))
        mean = self.mean
        spread = self._squares - 2 * mean * self._crossed + mean.square() * self._counts[2]
        error = (spread.clamp(min=0) * blocks / (blocks - 1)).sqrt() / total
        return error * float(stdtrit(blocks - 1, 0.975))


def completed(tallies: Sequence[Tally], work: Callable[[], None], device: torch.device) -> None:
    """Fill the tallies by `work`, and add up what all ranks have filled in theirs.

    Raises:
        ScoringError: if the work does so on any rank.
    """

    def filled() -> list[Tensor]:
        work()
        return [tensor for tally in tallies for tensor in tally.tensors()]

    sums = together(filled, device)
    for number, tally in enumerate(tallies):
        tally.take(sums[4 * number : 4 * number + 4])


def rank_correlation(one: Tensor, other: Tensor) -> float | None:
    """Spearman's, of two estimates of the same quantities; None where there is nothing to rank."""
    from scipy.stats import rankdata  # slow to import, and wanted once a scoring

    if len(one) < 3 or not bool((torch.isfinite(one) & torch.isfinite(other)).all()):
        return None
    ranks = torch.stack([torch.from_numpy(rankdata(x.cpu().numpy())) for x in (one, other)])
    centred = ranks - ranks.mean(1, keepdim=True)
    size = centred.norm(dim=1).prod()
    return float((centred[0] * centred[1]).sum() / size) if float(size) > 0 else None

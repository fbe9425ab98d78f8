"""Where a run stands, in its epochs: they pass with the compute that is spent."""

from __future__ import annotations

from dataclasses import dataclass

from easearch.growth.stream import step_compute
from easearch.growth.training import Feed, Training


@dataclass(frozen=True, kw_only=True)
class Hours:
    """The clock of a run.

    An epoch has passed when its share of the compute is spent, be it on training, scoring or
    searching: narrow networks see more data in an epoch than wide ones, and the cosine ends when
    all is spent.
    """

    training: Training
    feed: Feed

    def now(self, spent: float) -> float:
        """Epochs that have passed after so many multiply-adds."""
        return spent / self.training.whole * self.training.epochs

    def each(self, macs: float) -> float:
        """Epochs that one training step takes, of a network with so many multiply-adds."""
        return step_compute(macs, self.feed) / self.training.whole * self.training.epochs

    def steps(self, now: float, until: float, each: float, batches: int) -> int:
        """Training steps until a moment, whole ones, and at most to the end of a pass."""
        return min(round((until - now) / each), self.feed.steps - batches % self.feed.steps)

"""A cap on the time that measuring may take: past it what is missing is estimated, and said."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with (done, total) operators."""

EVERY_S = 2.0
"""Seconds between two reports at least."""


class TimeCap:
    """How long may be measured in all, from now on.

    Args:
        seconds: the cap; by default there is none.
        report: called with (done, total) now and then while operators are measured.
    """

    def __init__(self, seconds: float = math.inf, report: Report | None = None) -> None:
        self._ends = time.monotonic() + seconds
        self._report = report
        self._reported = -math.inf
        self.estimated: set[str] = set()
        """Keys of operators whose time is an estimate."""
        self.uncalibrated = False
        """Whether a sum of operators stands for a network, since none was measured whole."""

    @property
    def over(self) -> bool:
        """Whether nothing more should be measured."""
        return time.monotonic() >= self._ends

    def report(self, done: int, total: int) -> None:
        """Report how many operators are measured, not more often than every two seconds."""
        now = time.monotonic()
        if self._report is not None and now - self._reported >= EVERY_S:
            self._reported = now
            self._report(done, total)

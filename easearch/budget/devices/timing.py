"""What timing a model gives, and what whoever times models must offer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from easearch.budget.devices import runner
from easearch.budget.devices.host import Host, this_host
from easearch.errors import DeviceError

Model = bytes | Path
Progress = Callable[[int, int], None]
"""Called with (done, total)."""
LEAST_US, MOST_US = 0.01, 1e9
"""Between these lies the time of every run: no call is faster, and nobody waits for longer."""
TELLABLE_US = 0.3
"""Differences below this are the clock's, whatever share of a small time they are."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Times of one model in microseconds, over all of its runs."""

    min_us: float
    median_us: float
    p90_us: float
    runs: int
    halves_us: tuple[float, float]
    """Minima of two interleaved halves of the runs (A and A): the noise is what they differ by."""
    slow: float = 0.0
    """How much slower than it can be the machine was all the while, as a fraction."""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Timing:
        """From plain data, as `runner.timed` gives it.

        Raises:
            KeyError, TypeError, ValueError: it is no timing.
        """
        low, high = (float(us) for us in answer["halves_us"])
        return cls(
            min_us=float(answer["min_us"]),
            median_us=float(answer["median_us"]),
            p90_us=float(answer["p90_us"]),
            runs=int(answer["runs"]),
            halves_us=(low, high),
        )

    @property
    def possible(self) -> bool:
        """Whether a device can have taken these times: finite, above 0, in order."""
        lows, spent = self.halves_us, (self.min_us, self.median_us, self.p90_us)
        return (
            all(LEAST_US <= us <= MOST_US for us in (*lows, *spent))
            and spent[0] <= spent[1] <= spent[2]
            and self.runs >= 1
            and 0 <= self.slow < math.inf
        )

    @property
    def spread(self) -> float:
        """How far the halves are from each other, as a fraction."""
        low, high = sorted(self.halves_us)
        return 0.0 if high - low < TELLABLE_US else high / low - 1

    @property
    def disturbed(self) -> float:
        """How far the time may be off, by all that is known."""
        return max(self.spread, self.slow)

    def with_more(self, other: Timing) -> Timing:
        """Both measurements of one model together: minima of minima, medians in proportion."""
        runs = self.runs + other.runs
        return Timing(
            min_us=min(self.min_us, other.min_us),
            median_us=(self.median_us * self.runs + other.median_us * other.runs) / runs,
            p90_us=max(self.p90_us, other.p90_us),
            runs=runs,
            halves_us=(
                min(self.halves_us[0], other.halves_us[0]),
                min(self.halves_us[1], other.halves_us[1]),
            ),
        )


class Stopwatch(Protocol):
    """Times models in one place: this process, another machine, another runtime."""

    def facts(self) -> Host:
        """What the place is.

        Raises:
            DeviceError: it cannot be reached, or lacks what is needed.
        """

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int = 12,
        sessions: int = 1,
        sample: Sequence[int] | None = None,
        cold: bool = False,
    ) -> list[Timing]:
        """A timing a model, as `runner.timed` takes them.

        Raises:
            DeviceError: the place cannot be reached, or a model cannot be run there.
        """


@dataclass(frozen=True, kw_only=True)
class Here:
    """ONNX Runtime in this process."""

    threads: int = 1
    provider: str = runner.PROVIDER

    def facts(self) -> Host:
        """This machine, set up so."""
        return this_host(self.threads, self.provider)

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int = 12,
        sessions: int = 1,
        sample: Sequence[int] | None = None,
        cold: bool = False,
    ) -> list[Timing]:
        """See `Stopwatch`."""
        try:
            answers = runner.timed(
                [str(one) if isinstance(one, Path) else one for one in models],
                rounds=rounds,
                sessions=sessions,
                sample=sample,
                threads=self.threads,
                provider=self.provider,
                cold=cold,
            )
        except runner.CannotRun as error:
            raise DeviceError(str(error)) from error
        return [Timing.of(one) for one in answers]

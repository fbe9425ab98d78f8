"""A device: a place where networks run, and how they are timed there, if they can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from easearch.budget.devices.host import Host
from easearch.budget.devices.profile import Profile
from easearch.budget.devices.timing import MOST_US, Model, Stopwatch, Timing
from easearch.budget.store import cache_folder
from easearch.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place where networks run."""

    name: str
    host: Host
    stopwatch: Stopwatch | None = field(compare=False, repr=False)
    """Who times models there; None: nobody can, the profile is all that is known."""
    profile: Profile | None = field(default=None, compare=False, repr=False)

    @property
    def cold(self) -> bool:
        """Whether its times are those of a network that finds caches cold."""
        return self.profile is not None and self.profile.caches == "cold"

    @property
    def folder(self) -> Path:
        """Where what is measured of it is kept, on this machine."""
        return cache_folder() / (f"{self.host.key}-cold" if self.cold else self.host.key)

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int = 12,
        sessions: int = 1,
        sample: Sequence[int] | None = None,
    ) -> list[Timing]:
        """Time models on it, in turns.

        Args:
            models: serialized ONNX models, or files.
            rounds: how often every session is visited.
            sessions: how many sessions a model has at once.
            sample: (N, C, ...), sizes for dimensions that a model leaves open.

        Raises:
            DeviceError: it cannot be reached, a model cannot be run, or a time is impossible.
        """
        if self.stopwatch is None:
            raise DeviceError(
                f"the device '{self.name}' is known by its profile alone: nothing can be run on it "
                "from here; use what its table holds, or name a device that can be reached"
            )
        found = self.stopwatch.time(
            models, rounds=rounds, sessions=sessions, sample=sample, cold=self.cold
        )
        wrong = next((one for one in found if not one.possible), None)
        if wrong is not None or len(found) != len(models):
            got = f"{len(found)} times" if wrong is None else _told(wrong)
            raise DeviceError(
                f"the device '{self.name}': expected a time above 0 for each of {len(models)} "
                f"models, {MOST_US:g} microseconds at most, got {got}; nothing of it is kept: see "
                "what answers there"
            )
        return found


def _told(timing: Timing) -> str:
    return f"{timing.min_us:g} to {timing.p90_us:g} microseconds over {timing.runs:,} runs"

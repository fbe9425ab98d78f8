"""Several processes on one machine: while one measures, the others wait.

Who trains holds a shared lock and lets go of it for a moment after every batch; who measures holds
it alone. A second lock is the gate before it: without one, whoever wants to be alone would wait for
ever on those who come and go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from easearch.budget import Latency
from easearch.roles import Bound

ROOM, GATE = ".room", ".gate"


class Machine:
    """One process's hold on the locks of a folder; the system frees them when it ends.

    With `shared=False` there are no others, and nothing is locked.
    """

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self._room = self._gate = -1
        self._held: str | None = None
        if shared:
            folder.mkdir(parents=True, exist_ok=True)
            self._room, self._gate = (
                os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644) for name in (ROOM, GATE)
            )

    def close(self) -> None:
        """Let go of everything."""
        for handle in (self._room, self._gate):
            if handle >= 0:
                os.close(handle)
        self._room = self._gate = -1

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Work beside others."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Work while all others wait; from within `together` too, and within itself."""
        before = self._held
        if before == "alone":
            yield
            return
        self._leave()
        self._lock(self._gate, fcntl.LOCK_EX)
        self._lock(self._room, fcntl.LOCK_EX)
        self._held = "alone"
        try:
            yield
        finally:
            self._leave()
            self._lock(self._gate, fcntl.LOCK_UN)
            if before == "together":
                self._enter()

    def breathe(self) -> None:
        """Let those in who wait to be alone."""
        if self._held == "together":
            self._leave()
            self._enter()

    def quieten(self, bounds: Sequence[Bound]) -> None:
        """Let the meters of these limits measure alone from now on."""
        for meter in (bound.meter for bound in bounds):
            if not isinstance(meter, Latency) or meter.device.stopwatch is None:
                continue
            if isinstance(meter.device.stopwatch, Alone):  # several limits share a meter
                continue
            stopwatch = Alone(stopwatch=meter.device.stopwatch, machine=self)
            device = replace(meter.device, stopwatch=stopwatch)
            meter.table.device = meter.table.quiet.device = device

    def _enter(self) -> None:
        self._lock(self._gate, fcntl.LOCK_SH)  # waits while somebody is alone
        self._lock(self._room, fcntl.LOCK_SH)
        self._lock(self._gate, fcntl.LOCK_UN)
        self._held = "together"

    def _leave(self) -> None:
        self._lock(self._room, fcntl.LOCK_UN)
        self._held = None

    def _lock(self, handle: int, how: int) -> None:
        if handle >= 0:
            fcntl.flock(handle, how)


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A stopwatch that times while all others wait."""

    stopwatch: Any
    machine: Machine

    def time(self, *models: Any, **how: Any) -> Any:
        """As the stopwatch itself."""
        with self.machine.alone():
            return self.stopwatch.time(*models, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stopwatch, name)

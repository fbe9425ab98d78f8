"""Timing on a machine that others use too: what was disturbed is recognised and timed again.

Two signs tell. Halves of a model's own runs that differ say that something came in between. And
with every few models the smallest work there is is timed, a call of the runtime: where it takes
longer than it once did, the whole machine is slow for a while (a neighbour on the same core, a
lower clock), which no two halves of the same moment would show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from easearch.budget.devices import Device, Timing
from easearch.budget.devices.runner import CHUNK
from easearch.budget.devices.timing import LEAST_US, MOST_US, Model
from easearch.budget.latency.models import item_model
from easearch.budget.store import keep, kept_json
from easearch.errors import shown
from easearch.graph import Shape

BUSY = 0.05
"""Halves that are farther apart were measured on a busy machine."""
SLOW = 0.12
"""A call that takes this much longer than the fastest known was made on a slow one."""
ATTEMPTS = 5
PAUSE_S = 0.2
"""Before another attempt: most disturbances pass."""
CALL = Shape(
    kind="activation",
    in_channels=1,
    out_channels=1,
    in_size=(),
    out_size=(),
    options=(("function", "relu"),),
)
"""The smallest work there is: what its run costs is the call."""


class Quiet:
    """Times models on a device, beside calls of its runtime.

    Args:
        device: where.
        read_on: whether the models' outputs are read on as `item_model` has it: so are the calls'.
    """

    def __init__(self, device: Device, *, read_on: bool = False) -> None:
        self.device = device
        self.call = item_model((CALL,), read_on=read_on)
        self._name = "call-read-on" if read_on else "call"
        self._attempts = ATTEMPTS
        self.call_us = self._known()
        """The fastest call that was seen, in microseconds."""

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int,
        sessions: int,
        sample: Sequence[int] | None = None,
    ) -> list[Timing]:
        """As `Device.time`; what was disturbed again, minima kept, until it agrees.

        Where the machine stays slow, what it gives is taken, and the timings say how slow it was.
        """
        found: dict[int, Timing] = {}
        waiting = list(range(len(models)))
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(PAUSE_S)
            part = [models[i] for i in waiting]
            timings, calls = self._once(part, rounds, sessions, sample)
            for i, timing in zip(waiting, timings, strict=True):
                found[i] = found[i].with_more(timing) if i in found else timing
            self._remember(min(calls))
            slow = {i: call / self.call_us - 1 for i, call in zip(waiting, calls, strict=True)}
            waiting = [i for i in waiting if slow[i] > SLOW or found[i].spread > BUSY]
            if not waiting:
                self._attempts = ATTEMPTS
                break
        else:
            found |= {i: replace(found[i], slow=slow[i]) for i in waiting}
            self._attempts = 1  # it is slow for longer than patience lasts: next time one look
        return [found[i] for i in range(len(models))]

    def _once(
        self,
        models: Sequence[Model],
        rounds: int,
        sessions: int,
        sample: Sequence[int] | None,
    ) -> tuple[list[Timing], list[float]]:
        """Timings, and for each model the call that was timed in turns with it."""
        share = max(1, CHUNK // sessions - 1)
        parts = [models[i : i + share] for i in range(0, len(models), share)]
        mixed: list[Model] = [one for part in parts for one in (self.call, *part)]
        answers = iter(self.device.time(mixed, rounds=rounds, sessions=sessions, sample=sample))
        timings: list[Timing] = []
        calls: list[float] = []
        for part in parts:
            calls += [next(answers).min_us] * len(part)
            timings += [next(answers) for _ in part]
        return timings, calls

    @property
    def _path(self) -> Path:
        return self.device.folder / f"{self._name}.json"

    def _known(self) -> float:
        return kept_json(self._path, _call_us) or float("inf")

    def _remember(self, call_us: float) -> None:
        if call_us < self.call_us:
            self.call_us = call_us
            keep(self._path, json.dumps({"min_us": call_us}) + "\n")


def _call_us(content: Any) -> float:
    us = content["min_us"]
    if isinstance(us, bool) or not LEAST_US <= us <= MOST_US:
        raise ValueError(f"expected {LEAST_US:g} to {MOST_US:g} microseconds, got {shown(us)}")
    return float(us)

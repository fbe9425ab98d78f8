"""What a machine is: measurements are kept under it, and are never used on another."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from easearch.budget.devices import runner
from easearch.errors import DeviceError

LOG = logging.getLogger(__name__)


FEW = 64
"""Threads that any host may be asked for: more than it has are slow, and no more than that."""


def most_threads() -> int:
    """Threads that may be asked of this host: thousands hang it."""
    return max(FEW, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Host:
    """A processor with the runtime that measures on it. Hashable."""

    cpu: str
    instructions: tuple[str, ...]
    threads: int
    runtime: str
    provider: str

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Host:
        """From plain data, as `runner.facts` or a profile holds it."""
        return cls(**{**facts, "instructions": tuple(facts["instructions"])})

    @property
    def key(self) -> str:
        """A short name, the same on every start, fit for a folder."""
        text = repr((self.cpu, self.instructions, self.threads, self.runtime, self.provider))
        slug = re.sub(r"[^a-z0-9.]+", "-", f"{self.cpu} {self.runtime}".lower()).strip("-")
        return f"{slug[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def differences(self, other: Host) -> dict[str, tuple[Any, Any]]:
        """The fields in which two hosts are not the same, with both values."""
        pairs = {name: (value, getattr(other, name)) for name, value in self.__dict__.items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def to_json(self) -> dict[str, object]:
        """The fields as plain data."""
        return {**self.__dict__, "instructions": list(self.instructions), "key": self.key}


@cache
def this_host(threads: int = 1, provider: str = runner.PROVIDER) -> Host:
    """The machine that runs this process, with ONNX Runtime set up so.

    Raises:
        DeviceError: the runtime lacks the provider.
    """
    try:
        return Host.of(runner.facts(threads, provider))
    except runner.CannotRun as error:
        raise DeviceError(f"{error}; choose one of these, or install a build that has it") from None


def warned(name: str, known: Host, found: Host) -> bool:
    """Whether a device is not what its profile was measured on; says in which fields."""
    differences = known.differences(found)
    for field, (was, now) in differences.items():
        LOG.warning("the profile '%s' was measured with %s %s, got %s", name, field, was, now)
    if differences:
        LOG.warning(
            "nothing is measured for '%s' here: its table is used as it is; to measure this "
            "machine, make a profile of its own with easearch profile",
            name,
        )
    return bool(differences)

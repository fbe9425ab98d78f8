"""Devices by name. A new one is a function that makes a `Device`, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from easearch.budget.host import Host, this_host
from easearch.budget.runtime import Timing, interleaved
from easearch.budget.store import cache_folder
from easearch.errors import BudgetError, nearest


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place where networks run and can be timed."""

    name: str
    host: Host
    time: Callable[..., list[Timing]] = field(compare=False, repr=False)
    """Has the signature of `runtime.interleaved`."""

    @property
    def folder(self) -> Path:
        """Where measurements of this device are kept."""
        return cache_folder() / self.host.key


def _here() -> Device:
    return Device(name="host", host=this_host(), time=interleaved)


DEVICES: dict[str, Callable[[], Device]] = {"host": _here}
"""Name -> a function that reaches the device."""


def find_device(name: str | Device) -> Device:
    """The device of that name.

    Raises:
        BudgetError: no such device is known.
    """
    if isinstance(name, Device):
        return name
    check_device(name)
    return DEVICES[name]()


def check_device(name: str) -> None:
    """Refuse a name that is not a device's.

    Raises:
        BudgetError: says the nearest known name.
    """
    if name not in DEVICES:
        raise BudgetError(f"expected the name of a device, got '{name}'; {nearest(name, DEVICES)}")

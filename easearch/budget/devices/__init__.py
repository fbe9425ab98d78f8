"""Devices by name: this host, and every device that has a profile."""

from __future__ import annotations

import logging
from pathlib import Path

from easearch.budget.devices.device import Device
from easearch.budget.devices.host import Host, this_host
from easearch.budget.devices.profile import FILE, Profile, profile_folders
from easearch.budget.devices.timing import Here, Stopwatch, Timing
from easearch.errors import BudgetError, nearest

LOG = logging.getLogger(__name__)
HOST = "host"


def find_device(name: str | Device) -> Device:
    """The device of that name.

    Args:
        name: "host", the name of a profile's folder in `budgets/`, or a path to such a folder.

    Raises:
        BudgetError: no such device is known.
        DeviceError: its profile cannot be used.
    """
    if isinstance(name, Device):
        return name
    if name == HOST:
        return Device(name=HOST, host=this_host(), stopwatch=Here())
    return device_of(Profile.read(_folder(name)))


def device_of(profile: Profile) -> Device:
    """The device that a profile describes; a host that is not the profile's is warned of."""
    known = profile.host.host() if profile.host is not None else None
    if profile.reach != "host":
        return Device(
            name=profile.name,
            host=known or _untold(profile),
            stopwatch=_reached(profile),
            profile=profile,
        )
    here = this_host(profile.threads, profile.provider)
    stopwatch = Here(threads=profile.threads, provider=profile.provider)
    if known is None or not warned(profile.name, known, here):
        return Device(name=profile.name, host=here, stopwatch=stopwatch, profile=profile)
    return Device(name=profile.name, host=known, stopwatch=None, profile=profile)


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


def check_device(name: str) -> None:
    """Refuse a name that is not a device's.

    Raises:
        BudgetError: says the nearest known name.
    """
    if name != HOST:
        _folder(name)


def _folder(name: str) -> Path:
    folders = profile_folders()
    if name in folders:
        return folders[name]
    if (Path(name) / FILE).is_file():
        return Path(name)
    known = nearest(name, [HOST, *folders])
    raise BudgetError(f"expected the name of a device, got '{name}'; {known}")


def _untold(profile: Profile) -> Host:
    return Host(
        cpu=profile.name,
        instructions=(),
        threads=profile.threads,
        runtime="unknown",
        provider=profile.provider,
    )


def _reached(profile: Profile) -> Stopwatch | None:
    return None


__all__ = ["Device", "Profile", "Stopwatch", "Timing", "check_device", "device_of", "find_device"]

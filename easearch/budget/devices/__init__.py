"""Devices by name: this host, and every device that has a profile."""

from __future__ import annotations

import logging
from pathlib import Path

from easearch.budget.devices.device import Device
from easearch.budget.devices.host import Host, this_host, warned
from easearch.budget.devices.profile import FILE, Profile, profile_folders
from easearch.budget.devices.ssh import Ssh, beside
from easearch.budget.devices.timing import Here, Stopwatch, Timing
from easearch.errors import BudgetError, DeviceError, nearest, shown

HOST = "host"
LOG = logging.getLogger(__name__)


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
    stopwatch = Here(threads=profile.threads, provider=profile.provider)
    here = _here(stopwatch, profile.name, known)
    return Device(
        name=profile.name,
        host=here or known or _untold(profile),
        stopwatch=stopwatch if here is not None else None,
        profile=profile,
    )


def _here(stopwatch: Stopwatch, name: str, known: Host | None) -> Host | None:
    """This machine; None, with a warning, where it is not what a profile was measured on."""
    try:
        found = stopwatch.facts()
    except DeviceError as error:
        if known is None:
            raise
        LOG.warning("%s; nothing is measured for '%s': its table is used as it is", error, name)
        return None
    return None if known is not None and warned(name, known, found) else found


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
    if _is_profile(Path(name)):
        return Path(name)
    known = nearest(name, [HOST, *folders])
    raise BudgetError(f"expected the name of a device, got {shown(name)}; {known}")


def _is_profile(folder: Path) -> bool:
    try:
        return (folder / FILE).is_file()
    except OSError:  # a name that no file system takes
        return False


def _untold(profile: Profile) -> Host:
    return Host(
        cpu=profile.name,
        instructions=(),
        threads=profile.threads,
        runtime="unknown",
        provider=profile.provider,
    )


def _reached(profile: Profile) -> Stopwatch | None:
    if profile.ssh is None:
        return None
    return Ssh(
        name=profile.name,
        part=beside(profile.ssh, profile.folder),
        threads=profile.threads,
        provider=profile.provider,
        expected=profile.host.host() if profile.host is not None else None,
    )


__all__ = ["Device", "Profile", "Stopwatch", "Timing", "check_device", "device_of", "find_device"]

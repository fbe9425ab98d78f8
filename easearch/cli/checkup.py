"""Facts about this machine for `easearch doctor`; none takes longer than a second to find."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

DEVELOPERS = "dev"
"""The extra of those who work on easearch itself."""
RUNS = Path("runs")
"""Where runs lie unless they are told another folder."""
NAMED = 5
MEMINFO = Path("/proc/meminfo")
NEEDED_MEMORY, NEEDED_DISK = 2e9, 1e9
"""Bytes that the quickstart may take."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fact, and what it means for easearch. `ok` is False where something will not work."""

    name: str
    value: str
    means: str
    ok: bool = True
    there: bool = True
    """False for what is optional and not there."""

    @property
    def state(self) -> str:
        """`ok` or `missing`."""
        return "ok" if self.ok and self.there else "missing"


def checkup() -> list[Finding]:
    """All findings, in the order in which a person wants to read them."""
    return [
        Finding(
            name="python",
            value=platform.python_version(),
            means="3.11 or later is needed.",
            ok=sys.version_info >= (3, 11),
        ),
        *_packages(),
        *_extras(),
        _processor(),
        _cuda(),
        _providers(),
        _energy("energy of the processor", "Rapl", "RAPL"),
        _energy("energy of the GPU", "Nvml", "NVML"),
        _cache(),
        _step(),
        _memory(),
        _disk(),
        _left_over(),
    ]


def _packages() -> Iterator[Finding]:
    """Every dependency that the package declares, and the package itself."""
    try:
        wanted = importlib.metadata.requires("easearch") or []
        yield Finding(
            name="easearch", value=importlib.metadata.version("easearch"), means="This program."
        )
    except importlib.metadata.PackageNotFoundError:
        wanted = []
        yield Finding(
            name="easearch",
            value="not installed",
            means="It runs from its source; pip install -e . makes its dependencies known.",
        )
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate():
            yield _package(requirement)


def _extras() -> Iterator[Finding]:
    """Every extra that the package declares, but what its developers need."""
    try:
        wanted = [Requirement(one) for one in importlib.metadata.requires("easearch") or []]
        extras = importlib.metadata.metadata("easearch").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for extra in extras:
        if extra == DEVELOPERS:
            continue
        own = [one for one in wanted if _is_of(one, extra)]
        lost = [one.name for one in own if not _installed(one.name)]
        yield Finding(
            name=f"extra {extra}",
            value=f"without {', '.join(lost)}" if lost else ", ".join(one.name for one in own),
            means=f"Optional. Run: pip install 'easearch[{extra}]'" if lost else "Optional.",
            there=not lost,
        )


def _is_of(wanted: Requirement, extra: str) -> bool:
    """Whether the extra asks for it, and nothing else does."""
    marker = wanted.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate()


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _package(wanted: Requirement) -> Finding:
    means = f"{wanted.specifier} is needed." if wanted.specifier else "Any version will do."
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        means = f"{means} Run: pip install '{wanted}'"
        return Finding(name=wanted.name, value="missing", means=means, ok=False)
    fits = wanted.specifier.contains(version, prereleases=True)
    return Finding(name=wanted.name, value=version, means=means, ok=fits)


def _processor() -> Finding:
    from easearch.budget import this_host

    host = this_host()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    sets = ", ".join(host.instructions) or "no known vector instructions"
    means = "Latency is measured on one core; measurements hold for this processor only."
    return Finding(name="processor", value=f"{host.cpu}; {cores} cores; {sets}", means=means)


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        means = "Training runs there; limits stay those of the processor."
        return Finding(name="CUDA", value=", ".join(names), means=means)
    return Finding(name="CUDA", value="none", means="Training runs on the processor.", there=False)


def _providers() -> Finding:
    import onnxruntime

    found = onnxruntime.get_available_providers()
    return Finding(
        name="ONNX Runtime runs on",
        value=", ".join(found),
        means="Latency is measured with CPUExecutionProvider.",
        ok="CPUExecutionProvider" in found,
    )


def _energy(name: str, kind: str, what: str) -> Finding:
    from easearch.budget.devices import counters

    try:
        counter = getattr(counters, kind)()
        watts = counters.power(counter)
    except Exception as error:  # a probe: whatever is wrong, the answer is that it cannot be read
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        means = f"Joules cannot be measured by {what} here: energy is modelled instead."
        return Finding(name=name, value=f"not readable ({reason})", means=means, there=False)
    means = f"Joules are measured by {what} here."
    return Finding(name=name, value=f"{counter.name}, {watts:.0f} W now", means=means)


def _cache() -> Finding:
    from easearch.budget.store import CACHE_VARIABLE, cache_folder

    folder = cache_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    means = f"Measurements are kept here; {CACHE_VARIABLE} names another folder."
    value = str(folder) if writable else f"{folder}, not writable: every run measures again"
    return Finding(name="cache", value=value, means=means, there=writable)


def _step() -> Finding:
    from easearch.budget import find_device
    from easearch.budget.latency.step import kept_step

    means = "Widths are multiples of it: between two of them more channels cost nothing."
    step = kept_step(find_device("host"))
    if step is not None:
        return Finding(name="width step", value=str(step), means=means)
    later = f"{means} The first run finds it, in a few seconds."
    return Finding(name="width step", value="not measured yet", means=later)


def _memory() -> Finding:
    means = "The quickstart takes up to 2 GB."
    try:
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        value = f"unknown on {sys.platform}"
        return Finding(name="free memory", value=value, means=means)
    return Finding(
        name="free memory", value=f"{free / 1e9:.1f} GB", means=means, ok=free >= NEEDED_MEMORY
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    value = f"{free / 1e9:.1f} GB in the present folder"
    means = "A run takes a few megabytes, a data set up to some hundred."
    return Finding(name="free disk", value=value, means=means, ok=free >= NEEDED_DISK)


def _left_over() -> Finding:
    from easearch.claims import unfinished

    found = unfinished(RUNS)
    means = "Nothing is deleted by itself: what was trained in them stays until you remove it."
    if not found:
        return Finding(name="unfinished runs", value=f"none in {RUNS}/", means=means)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    names = ", ".join(str(one) for one in found[:NAMED])
    return Finding(name="unfinished runs", value=f"{names}{more}", means=means)

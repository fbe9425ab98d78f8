"""Counters of joules: RAPL for processors, NVML for GPUs, and what a run takes by them.

A counter moves in jumps and counts whatever the machine does. So a window is long enough to hold
many jumps and ends at one, and the power of equally long pauses before and after is subtracted.
"""

from __future__ import annotations

import importlib
import itertools
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from easearch.budget.devices.device import Device
from easearch.budget.devices.timing import Here
from easearch.errors import DeviceError, MissingExtraError

POWERCAP = Path("/sys/class/powercap")
TICK = 0.001
"""Seconds between two readings; RAPL moves about once a millisecond, NVML in 20 to 100."""
GPU_PROVIDERS = ("CUDA", "Tensorrt", "cuda")
"""Of ONNX Runtime."""


class Counter(Protocol):
    """Joules that a part of the machine has taken since the counter was opened."""

    @property
    def name(self) -> str:
        """What counts, for notes: `RAPL package-0`."""

    def read(self) -> float:
        """Joules so far; never less than before."""


class Rapl:
    """Running Average Power Limit: all packages of the processors together.

    Args:
        root: the folder of the kernel's powercap tree, if it is not where it always is.

    Raises:
        DeviceError: the kernel shows no package there, or does not let this user read it.
    """

    def __init__(self, root: Path | None = None) -> None:
        root = root or POWERCAP
        folders = [path for path in sorted(root.glob("intel-rapl:*")) if (path / "name").is_file()]
        names = [_text(path / "name") for path in folders]
        packages = [i for i, name in enumerate(names) if name.startswith("package")]
        if not packages:
            raise DeviceError(f"expected RAPL packages in {root}, got none: no energy counter here")
        self.name = " ".join(["RAPL", *(names[i] for i in packages)])
        self._zones = [_Zone(folders[i]) for i in packages]

    def read(self) -> float:
        """See `Counter`."""
        return sum(zone.read() for zone in self._zones)


class _Zone:
    """One package's counter, which begins again at 0 behind its range."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._range = _number(folder / "max_energy_range_uj")
        self._last = _number(self._file)
        self._total = 0

    def read(self) -> float:
        now = _number(self._file)
        # Between two readings lie milliseconds: it wraps once at most.
        self._total += now - self._last if now >= self._last else now + self._range - self._last
        self._last = now
        return self._total / 1e6


class Nvml:
    """The total energy counter of one GPU, Volta or later.

    Args:
        number: of the GPU, as CUDA counts those that it shows (in the order of the bus).

    Raises:
        MissingExtraError: nvidia-ml-py is not installed.
        DeviceError: there is no such GPU, or it does not count.
    """

    def __init__(self, number: int = 0) -> None:
        try:
            self._nvml: Any = importlib.import_module("pynvml")
        except ImportError:
            raise MissingExtraError(
                "expected nvidia-ml-py to read the energy of a GPU, got none; "
                "run: pip install 'easearch[gpu]'"
            ) from None
        try:
            self._nvml.nvmlInit()
            self._handle = self._shown(number)
            self.name = f"NVML {self._nvml.nvmlDeviceGetName(self._handle)}"
            self._start = self._millijoules()
        except self._nvml.NVMLError as error:
            raise DeviceError(f"expected a GPU that counts its energy, got: {error}") from None

    def read(self) -> float:
        """See `Counter`."""
        return (self._millijoules() - self._start) / 1e3

    def _millijoules(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def _shown(self, number: int) -> Any:
        # CUDA may hide GPUs and number the others anew; NVML knows all of them.
        names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        name = names[number].strip() if number < len(names) else ""
        if name.startswith(("GPU-", "MIG-")):
            return self._nvml.nvmlDeviceGetHandleByUUID(name)
        return self._nvml.nvmlDeviceGetHandleByIndex(int(name) if name.isdigit() else number)


def find_counter(device: Device, root: Path | None = None) -> Counter:
    """The counter that sees what runs on the device.

    Args:
        device: where networks run.
        root: as `Rapl` takes it.

    Raises:
        DeviceError: nothing here counts that device's energy; says why.
        MissingExtraError: it is a GPU, and nvidia-ml-py is not installed.
    """
    if not isinstance(device.stopwatch, Here):
        raise DeviceError(f"no counter here sees the energy of '{device.name}'")
    provider, _, number = device.stopwatch.provider.partition(":")
    return Nvml(int(number or 0)) if provider.startswith(GPU_PROVIDERS) else Rapl(root)


def power(counter: Counter, seconds: float = 0.2) -> float:
    """Watts that the counter's part of the machine takes now."""
    start, first = time.perf_counter(), counter.read()
    time.sleep(seconds)
    return (counter.read() - first) / (time.perf_counter() - start)


@dataclass(frozen=True, kw_only=True)
class Window:
    """How long is long enough."""

    seconds: float = 1.0
    updates: int = 100
    """Times that the counter has moved."""
    repeats: int = 3
    patience: float = 60.0
    """Seconds after which a counter that hardly moves is given up."""


@dataclass(frozen=True, kw_only=True)
class Joules:
    """What one run takes above an idle machine."""

    joules: float
    spread: float
    """(largest - smallest) / median of the repeats."""
    idle: float
    """Watts of the pauses."""
    runs: int


@dataclass(frozen=True, kw_only=True)
class _Span:
    joules: float
    seconds: float
    runs: int

    @property
    def watts(self) -> float:
        return self.joules / self.seconds


def joules_of(run: Callable[[], None], counter: Counter, window: Window | None = None) -> Joules:
    """What a run takes by the counter: the median of repeated windows, idle power subtracted.

    Raises:
        DeviceError: the counter hardly moves, or runs take no more than the idle machine does.
    """
    window = window or Window()
    pauses = [_watched(_pause, counter, window)]
    busy = []
    for _ in range(window.repeats):
        busy.append(_watched(run, counter, window))
        pauses.append(_watched(_pause, counter, window))
    idle = [(one.watts + other.watts) / 2 for one, other in itertools.pairwise(pauses)]
    net = [
        (span.joules - watts * span.seconds) / span.runs
        for span, watts in zip(busy, idle, strict=True)
    ]
    middle = statistics.median(net)
    if min(net) <= 0:
        raise DeviceError(
            f"expected more energy than the idle machine takes, got {1e6 * min(net):.3g} uJ a run "
            f"beside {max(idle):.3g} W when idle by {counter.name}: something else is running; "
            "measure again on a quiet machine"
        )
    return Joules(
        joules=middle,
        spread=(max(net) - min(net)) / middle,
        idle=statistics.mean(idle),
        runs=sum(span.runs for span in busy),
    )


def _watched(step: Callable[[], None], counter: Counter, window: Window) -> _Span:
    """Repeat a step from one movement of the counter to another, a window later."""
    begun = time.perf_counter()
    first = latest = counter.read()
    while latest == first:
        _check_patience(begun, counter, window)
        latest = counter.read()
    start, first, runs, updates = time.perf_counter(), latest, 0, 0
    while True:
        until = time.perf_counter() + TICK
        while time.perf_counter() < until:
            step()
            runs += 1
        now, clock = counter.read(), time.perf_counter()
        if now == latest:
            _check_patience(start, counter, window)
            continue
        latest, updates = now, updates + 1
        if clock - start >= window.seconds and updates >= window.updates:
            return _Span(joules=latest - first, seconds=clock - start, runs=runs)


def _check_patience(start: float, counter: Counter, window: Window) -> None:
    if time.perf_counter() - start > window.patience:
        raise DeviceError(
            f"expected {counter.name} to move {window.updates} times in {window.patience:g} s, "
            "got fewer: it cannot tell what a run takes"
        )


def _pause() -> None:
    time.sleep(TICK)


def _number(file: Path) -> int:
    text = _text(file)
    if not text.isdigit():
        raise DeviceError(f"{file}: expected microjoules, got {text[:40]!r}")
    return int(text)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError:
        raise DeviceError(
            f"reading RAPL needs root or a changed permission: {file} cannot be read; "
            f"run: sudo chmod a+r {file}"
        ) from None
    except OSError as error:
        raise DeviceError(f"{file} cannot be read: {error.strerror}") from None

"""The step of widths that a device likes, found by measuring.

Kernels compute channels in blocks (16 with AVX-512): between two multiples of the block more
channels cost nothing. Widths off the step are waste, so growth plans in steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easearch.budget.devices import Device, find_device
from easearch.budget.latency.models import item_model
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.store import keep, kept_json
from easearch.errors import shown
from easearch.graph import Shape

STEPS = (4, 8, 16, 32)
WIDTHS = tuple(range(36, 132, 4))
"""Three blocks of 32: smaller widths are ruled by fixed costs."""
FLAT = 0.4
"""A staircase leaves almost none of a ramp's variation within its levels; half the step, 3/4."""
ATTEMPTS = 4


def find_step(device: str | Device = "host", *, refresh: bool = False) -> int:
    """The largest of 4, 8, 16, 32 between whose multiples more channels cost almost nothing.

    A profile may say it. Otherwise measured once (about a second) and then read from the cache;
    `refresh` measures again.
    """
    place = find_device(device)
    if place.profile is not None and place.profile.step is not None:
        return place.profile.step
    known = None if refresh else kept_step(place)
    if known is not None:
        return known
    step, variation = _measure(place)
    keep(_path(place), json.dumps({"step": step, "variation": variation}, indent=1) + "\n")
    return step


def kept_step(place: Device) -> int | None:
    """The step that was measured on a device; None where none was yet."""
    return kept_json(_path(place), _parsed)


def _path(place: Device) -> Path:
    return place.folder / "step.json"


def _parsed(content: Any) -> int:
    step = content["step"]
    if isinstance(step, bool) or step not in STEPS:
        raise ValueError(f"expected a step of {STEPS}, got {shown(step)}")
    return int(step)


def _measure(place: Device) -> tuple[int, dict[int, float]]:
    models = [item_model(shape) for family in _families() for shape in family]
    quiet = Quiet(place)
    minima = np.full(len(models), np.inf)
    for _ in range(ATTEMPTS):
        timings = quiet.time(models, rounds=6, sessions=2)
        minima = np.minimum(minima, [timing.min_us for timing in timings])
        curves = minima.reshape(-1, len(WIDTHS))
        variation = {
            step: float(np.median([within_levels(WIDTHS, curve, step) for curve in curves]))
            for step in STEPS[1:]
        }
        if all(abs(value - FLAT) > 0.1 for value in variation.values()):
            break
    return staircase(variation), variation


def staircase(variation: dict[int, float]) -> int:
    """The largest step within whose levels times hardly vary; the smallest where none is."""
    flat = [step for step, value in variation.items() if value < FLAT]
    return max(flat, default=STEPS[0])


def within_levels(widths: Sequence[int], times: Sequence[float], step: int) -> float:
    """Variation of times within the levels `ceil(width / step)`, relative to a ramp's (0: none)."""
    w, t = np.asarray(widths, float), np.asarray(times, float)
    levels = np.ceil(w / step)
    ramp = np.polyval(np.polyfit(w, t, 1), w)
    return float(_scatter(t, levels) / max(_scatter(ramp, levels), 1e-12))


def _scatter(values: np.ndarray, levels: np.ndarray) -> float:
    # Absolute deviations from the level's median: one disturbed minimum must not decide.
    parts = [values[levels == level] for level in np.unique(levels)]
    return float(sum(np.abs(part - np.median(part)).sum() for part in parts))


def _families() -> list[list[tuple[Shape, ...]]]:
    return [
        [(_conv("conv", 64, width, 1, 16),) for width in WIDTHS],
        [(_conv("conv", width, 64, 1, 16),) for width in WIDTHS],
        [(_conv("depthwise", width, width, 3, 16),) for width in WIDTHS],
    ]


def _conv(kind: str, ins: int, outs: int, kernel: int, size: int) -> Shape:
    options = {
        "kernel": (kernel,) * 2,
        "stride": (1, 1),
        "pads": (kernel // 2,) * 4,
        "dilation": (1, 1),
        "bias": True,
        **({"each": 1} if kind == "depthwise" else {}),
    }
    return Shape(
        kind=kind,
        in_channels=ins,
        out_channels=outs,
        in_size=(size,) * 2,
        out_size=(size,) * 2,
        options=tuple(sorted(options.items())),
    )

"""Whole networks as measured on a device, kept like the rows of the table.

A plan is measured as a whole before it is trained: kept, so that the same recipe and seed take the
same decision the next time. What was disturbed is used, for want of better, and not kept: a busy
moment would decide for good.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from easearch.budget.devices import Device
from easearch.budget.store import keep, kept_json
from easearch.graph import Graph

STEADY = 0.02
"""Quiet measurements of a network are this close to themselves: 0.5 % where it was looked at."""
Measured = tuple[float, float]
"""Milliseconds, and how far they may be off, as a fraction, by all that the measurement knows."""


def kept(device: Device, graph: Graph, precision: str, measure: Callable[[], Measured]) -> Measured:
    """What was measured for this very network on the device; measured now if it is new."""
    path = device.folder / "networks.json"
    key = hashlib.sha256(repr((graph.layers, graph.widths, precision)).encode()).hexdigest()[:24]
    known = _read(path)
    if key in known and known[key][1] <= STEADY:
        return known[key]
    found = measure()
    if found[1] <= STEADY:
        # Read again: another process may have added its own meanwhile.
        keep(path, json.dumps({**_read(path), key: found}, indent=1) + "\n")
    return found


def _read(path: Path) -> dict[str, Measured]:
    return kept_json(path, _parsed) or {}


def _parsed(content: Any) -> dict[str, Measured]:
    found = {str(key): (float(ms), float(noise)) for key, (ms, noise) in content.items()}
    wrong = next((one for one in found.values() if not (0 < one[0] < 1e9 and 0 <= one[1])), None)
    if wrong is not None:
        raise ValueError(f"expected milliseconds above 0, got {wrong[0]:g}")
    return found

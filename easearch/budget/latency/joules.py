"""Picojoules per MAC and per byte moved: what is said in books, in a profile, or fitted here.

[Horowitz2014] M. Horowitz, Computing's Energy Problem (and What We Can Do about It), ISSCC 2014,
energies of operations and memory accesses at 45 nm and 0.9 V.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from easearch.budget.devices import Device
from easearch.budget.devices.counters import Counter, Window, joules_of
from easearch.budget.devices.profile import EnergyPart
from easearch.budget.devices.running import runnable
from easearch.budget.latency.calibration import REACH, networks, structure
from easearch.budget.latency.models import whole_model
from easearch.budget.latency.step import find_step
from easearch.budget.store import keep, kept_json
from easearch.budget.traffic import Traffic, graph_traffic
from easearch.errors import DeviceError
from easearch.graph import Graph

LOG = logging.getLogger(__name__)
EVERY, ENOUGH = 2, 6
"""Of the networks that calibrate latency each second one, if so many remain: a window takes
seconds, not a moment.
"""
LEAST = 4
"""Fewer networks do not tell three coefficients: the book's are then scaled to what they took."""
PJ = 1e-6
"""Microjoules."""


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What a multiply-add, a byte moved and an inference take, and how that is known."""

    pj_per_mac: Mapping[str, float]
    pj_per_byte: float
    uj_each: float = 0.0
    """Microjoules of an inference of any size."""
    interval: float | None = None
    note: str

    def microjoules(self, traffic: Traffic) -> float:
        """What an inference takes, `uj_each` left out.

        Raises:
            DeviceError: nothing is known of multiply-adds of a precision.
        """
        macs = sum(self._each(name) * number for name, number in traffic.macs.items() if number)
        return PJ * (macs + self.pj_per_byte * traffic.nbytes)

    def _each(self, precision: str) -> float:
        if precision not in self.pj_per_mac:
            known = ", ".join(self.pj_per_mac)
            raise DeviceError(
                f"expected picojoules of {precision} MACs, got those of {known or 'none'}; add "
                f"`{precision}` to energy.pj_per_mac in the device's profile"
            )
        return self.pj_per_mac[precision]


BOOK = Coefficients(
    # Multiply and add: 3.7 + 0.9 in fp32; 8 bits times 8 bits 0.2 + 0.1 of the sum in 32 bits.
    pj_per_mac={"fp32": 4.6, "int8": 0.3},
    # 64 bits from a cache of 1 MB take 100 pJ (8 KB: 10, 32 KB: 20, DRAM: 1,300 to 2,600).
    pj_per_byte=12.5,
    note=(
        "modelled: 4.6 pJ a MAC in fp32, 0.3 in int8, 12.5 a byte moved (a 1 MB cache), as "
        "Horowitz (ISSCC 2014) has them for 45 nm; good to compare networks, not to size a battery"
    ),
)
"""What holds where neither a counter nor a profile says better."""


def of_profile(name: str, part: EnergyPart) -> Coefficients:
    """Those of a device's profile, under its own word for how they are known."""
    idle = f"; {part.idle_mw:g} mW when idle not counted" if part.idle_mw else ""
    return Coefficients(
        pj_per_mac=part.pj_per_mac,
        pj_per_byte=part.pj_per_byte,
        uj_each=part.uj_each,
        note=f"{part.how}: coefficients of the profile '{name}', {part.source}{idle}",
    )


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One whole network: what it computes and moves, and its joules by the counter."""

    macs: float
    nbytes: float
    joules: float


def fitted(
    graph: Graph,
    device: Device,
    precision: str,
    counter: Counter,
    window: Window | None = None,
    reach: float = REACH,
) -> Coefficients:
    """The coefficients of the graph's structure by a counter, kept or measured now.

    Raises:
        DeviceError: the device cannot execute the graph, or the counter cannot tell what it takes.
    """
    path = device.folder / f"energy-{structure(graph)}-{precision}.json"
    samples = read_samples(path, counter.name)
    if not samples:
        samples = _measure(graph, device, precision, counter, window, reach)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        found = fit(samples, precision, counter.name)
        content = {
            "samples": [asdict(sample) for sample in samples],
            "coefficients": asdict(found),
            "counter": counter.name,
            "date": date,
        }
        keep(path, json.dumps(content, indent=1) + "\n")
    return fit(samples, precision, counter.name)


def _measure(
    graph: Graph,
    device: Device,
    precision: str,
    counter: Counter,
    window: Window | None,
    reach: float,
) -> list[Sample]:
    found = []
    nets = networks(graph, find_step(device), reach)
    for net in nets[::EVERY] if len(nets) >= EVERY * ENOUGH else nets:
        run = runnable(device, whole_model(net, precision=precision))
        moved = graph_traffic(net, precision)
        taken = joules_of(run, counter, window)
        macs = sum(moved.macs.values())
        found.append(Sample(macs=macs, nbytes=moved.nbytes, joules=taken.joules))
    return found


def fit(samples: Sequence[Sample], precision: str, counter: str) -> Coefficients:
    """Least squares of the relative error with no coefficient below zero."""
    if len(samples) < LEAST:
        return _scaled(samples, precision, counter)
    solution = _solved(samples)
    error = float(np.mean([abs(_error(one, solution)) for one in samples]))
    # Each predicted by all others, as latency's interval is found.
    apart = [
        _error(one, _solved([other for other in samples if other is not one])) for one in samples
    ]
    return Coefficients(
        pj_per_mac={precision: float(solution[0])},
        pj_per_byte=float(solution[1]),
        uj_each=float(solution[2]),
        interval=max(map(abs, apart)),
        note=(
            f"measured: fitted to {len(samples)} networks by {counter}, "
            f"mean error {100 * error:.1f} %"
        ),
    )


def _scaled(samples: Sequence[Sample], precision: str, counter: str) -> Coefficients:
    """Of a network that cannot grow: the book's coefficients, times what it really took."""
    moved = Traffic(
        macs={precision: sum(one.macs for one in samples)},
        nbytes=sum(one.nbytes for one in samples),
    )
    factor = 1e6 * sum(one.joules for one in samples) / BOOK.microjoules(moved)
    return Coefficients(
        pj_per_mac={precision: factor * BOOK.pj_per_mac[precision]},
        pj_per_byte=factor * BOOK.pj_per_byte,
        note=(
            f"measured: the whole by {counter}; how it divides among layers is modelled "
            "as Horowitz (ISSCC 2014) has it for 45 nm"
        ),
    )


def _solved(samples: Sequence[Sample]) -> np.ndarray:
    """Picojoules a MAC and a byte, microjoules each."""
    rows = np.asarray([_columns(one) for one in samples])
    scale = rows.max(axis=0)
    scale[scale == 0] = 1.0
    solution, _ = nnls(rows / scale, np.ones(len(rows)))
    return np.asarray(solution / scale)


def _columns(sample: Sample) -> list[float]:
    uj = 1e6 * sample.joules
    return [PJ * sample.macs / uj, PJ * sample.nbytes / uj, 1 / uj]


def _error(sample: Sample, solution: np.ndarray) -> float:
    return float(np.dot(_columns(sample), solution)) - 1


def read_samples(path: Path, counter: str) -> list[Sample]:
    """What is kept in a file of this counter's; none where there is none, or it was damaged."""

    def parsed(content: Any) -> list[Sample]:
        found = [Sample(**{key: float(x) for key, x in one.items()}) for one in content["samples"]]
        if content["counter"] != counter:
            return []
        if not all(_possible(sample) for sample in found):
            raise ValueError("impossible numbers")
        return found

    return kept_json(path, parsed) or []


def _possible(sample: Sample) -> bool:
    total = sample.macs + sample.nbytes + sample.joules
    return min(sample.macs, sample.nbytes) >= 0 < sample.joules and math.isfinite(total)

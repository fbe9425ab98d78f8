"""Calibration: whole networks of one structure, measured at several widths, say how rows add up.

Caches are shared, layouts are kept, additions are fused: a network is not the sum of its items,
but nearly in proportion to it (see `affine`). Kept per structure of the network, so every width
of a growing one is priced alike.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from easearch.budget.devices import Device
from easearch.budget.devices.timing import Timing
from easearch.budget.latency.affine import Affine, Point, ends, fit, left_out
from easearch.budget.latency.kernels import is_free, kernels, shapes_of
from easearch.budget.latency.models import whole_model
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.latency.step import find_step
from easearch.budget.latency.table import LatencyTable
from easearch.budget.store import json_text, keep, kept_json
from easearch.graph import Graph, stride
from easearch.roles import Item

LOG = logging.getLogger(__name__)
REACH = 3.0
LOWEST = 0.75
UNIFORM = 6
MIXED = 12
ROUNDS, COLD_ROUNDS = 8, 20
SESSIONS = 6
UNCALIBRATED = "a plain sum of the table's rows: no whole network was measured on the device"
CAPPED = "a plain sum of rows: the time was up before whole networks were measured"
BATCH_BYTES = 2**27
"""Whole networks are built and timed in batches of at most so much weight (or one by one)."""
DRIFT = 0.03
"""Added to the error of networks that are left out: a machine on another day. With it 95.7 % of the
1,160 committed certificates lie inside, without it 72 % (reports/latency/coverage.py).
"""
INSIDE = 0.95
SEEN = 200
"""Errors of certificates that are kept for one structure, the latest."""
OUTSIDE = (0.6, 1.6)
"""A network whose rows sum to less or more than these shares of the range asks for more points."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the rows of one network structure add up, and the networks that say so."""

    line: Affine
    points: tuple[Point, ...] = ()
    interval: float | None = None
    """Relative error that a network of the structure stays below (95 %): of networks left out, and
    `DRIFT`; no less than certificates have shown. None: not known.
    """
    seen: tuple[float, ...] = ()
    """Relative errors of files that were certified, in the order of time."""
    note: str = ""
    """Where it comes from, if not from networks of the structure itself."""

    @property
    def error(self) -> float:
        """Mean relative error on the calibration's own points."""
        return float(np.mean(np.abs(self.line.errors(self.points))))

    def covers(self, rows: float) -> bool:
        """Whether a network with that sum of rows (ms) is near enough to the points."""
        sums = [point.rows for point in self.points]
        return OUTSIDE[0] * min(sums) <= rows <= OUTSIDE[1] * max(sums)


def calibrate(graph: Graph, table: LatencyTable, reach: float = REACH) -> Calibration:
    """The calibration of the graph's structure on the table's device, cached or measured.

    Args:
        graph: networks between 3/4 and `reach` times its widths are measured, on the device's step.
        table: where rows come from; says the device.
        reach: how far growth may go.

    Raises:
        DeviceError: the graph has an opaque layer, or the device cannot execute it.
    """
    if table.device.stopwatch is None:
        return of_device(table.device, table.precision)
    path = calibration_file(table.device, graph, table.precision)
    points, seen = read(path)
    found = _of(points, seen) if points else None
    if found is None or not found.covers(sums(graph, table)[0]):
        measured = _measure(graph, table, reach)
        if measured is None:
            return found or Calibration(line=Affine(a=0.0, b=1.0, c=0.0), note=CAPPED)
        points += measured
        found = _of(points, seen)
        _keep(path, found)
    return found


def learn(graph: Graph, device: Device, precision: str, error: float) -> None:
    """Keep the relative error of a prediction that a certificate has shown: intervals of the
    structure are no narrower from then on. Nothing is kept where it was not calibrated.
    """
    path = calibration_file(device, graph, precision)
    points, seen = read(path)
    if points:
        _keep(path, _of(points, [*seen, error][-SEEN:]))


def _keep(path: Path, found: Calibration) -> None:
    document = {
        "points": [point.__dict__ for point in found.points],
        "line": found.line.__dict__,
        "mean_error": found.error,
        "interval": found.interval,
        "certified": found.seen,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    keep(path, json_text(document))


def of_device(device: Device, precision: str) -> Calibration:
    """What the device's profile says of networks of any structure; without it, rows add up."""
    lines = device.profile.calibration.items() if device.profile is not None else ()
    told = next((line for name, line in lines if name == precision), None)
    if told is None:
        return Calibration(line=Affine(a=0.0, b=1.0, c=0.0), note=UNCALIBRATED)
    line = Affine(a=told.a_ms, b=told.b, c=told.c, each=told.each_ms)
    note = f"predicted from the profile '{device.name}', by {told.networks} other networks"
    return Calibration(line=line, interval=told.interval, note=note)


def calibration_file(device: Device, graph: Graph, precision: str) -> Path:
    """Where the calibration of the graph's structure is kept."""
    suffix = "" if precision == "fp32" else f"-{precision}"
    return device.folder / f"calibration-{structure(graph)}{suffix}.json"


def _of(points: Sequence[Point], seen: Sequence[float]) -> Calibration:
    # Each network predicted by the others: 18 errors of 19 are below the largest of 18.
    errors = left_out([[point] for point in points])
    interval = max((abs(error) + DRIFT for error in errors), default=None)
    if interval is not None and seen:
        # Of n errors the next one is below the k-th smallest in k of n + 1 cases.
        rank = min(math.ceil(INSIDE * (len(seen) + 1)), len(seen))
        interval = max(interval, sorted(map(abs, seen))[rank - 1])
    return Calibration(line=fit(points), points=tuple(points), interval=interval, seen=tuple(seen))


def _measure(graph: Graph, table: LatencyTable, reach: float) -> list[Point] | None:
    """Points of networks between 3/4 and `reach` times the graph's widths; None: no time left."""
    nets = networks(graph, find_step(table.device), reach)
    # Rows first, all in one batch; then the whole networks in turns.
    table.rows([shapes_of(net, item) for net in nets for item in paid(net)])
    timings: list[Timing] = []
    quiet = Quiet(table.device)
    for models in _batches(nets, table.precision):
        if table.cap is not None and table.cap.over:
            table.cap.uncalibrated = True
            return None
        rounds = COLD_ROUNDS if table.device.cold else ROUNDS
        timings += quiet.time(models, rounds=rounds, sessions=SESSIONS)
    summed = [sums(net, table) for net in nets]
    return [
        Point(rows=rows, ends=numbers, items=len(paid(graph)), ms=timing.min_us / 1000)
        for (rows, numbers), timing in zip(summed, timings, strict=True)
    ]


def _batches(nets: Sequence[Graph], precision: str) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for model in (whole_model(net, precision=precision) for net in nets):
        if batch and sum(map(len, batch)) + len(model) > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(model)
    yield batch


def structure(graph: Graph) -> str:
    """A name for all of a graph but the widths that growth may change."""
    fixed = [(group.name, group.width if group.frozen else None) for group in graph.channel_groups]
    return hashlib.sha256(repr((graph.layers, fixed)).encode()).hexdigest()[:16]


def paid(graph: Graph) -> list[Item]:
    """The items that a runtime spends time on."""
    return [item for item in kernels(graph) if not is_free(shapes_of(graph, item))]


def sums(graph: Graph, table: LatencyTable) -> tuple[float, float]:
    """The sums of a graph's rows (ms) and of its items' ends (millions)."""
    items = [shapes_of(graph, item) for item in paid(graph)]
    return sum(table.rows(items)) / 1000, sum(ends(item) for item in items)


def networks(graph: Graph, step: int, reach: float) -> list[Graph]:
    """The graph as it is, and at several widths whose columns are on the step: groups alike, groups
    at random, no doubles.
    """
    draw = np.random.default_rng(int(structure(graph), 16) % 2**32)
    low, high = math.log(LOWEST), math.log(reach)
    names = [group.name for group in graph.growable]
    uniform = [dict.fromkeys(names, math.exp(x)) for x in np.linspace(low, high, UNIFORM)]
    mixed = [
        {name: math.exp(x) for name, x in zip(names, row, strict=True)}
        for row in draw.uniform(low, high, (MIXED, len(names)))
    ]
    nets = (graph.with_widths(_widths(graph, factors, step)) for factors in uniform + mixed)
    return list({tuple(net.widths.items()): net for net in (graph, *nets)}.values())


def _widths(graph: Graph, factors: Mapping[str, float], step: int) -> dict[str, int]:
    steps = {name: stride(graph, name, step) for name in factors}
    return {
        name: max(steps[name], steps[name] * round(graph.group(name).width * factor / steps[name]))
        for name, factor in factors.items()
    }


def read(path: Path) -> tuple[list[Point], list[float]]:
    """The points kept in a file, and the errors of certificates; none where there is none, or it
    was damaged.
    """
    return kept_json(path, _parsed) or ([], [])


def _parsed(document: Any) -> tuple[list[Point], list[float]]:
    points = [
        Point(
            rows=float(p["rows"]),
            ends=float(p["ends"]),
            items=int(p["items"]),
            ms=float(p["ms"]),
        )
        for p in document["points"]
    ]
    if not points or not all(_possible(point) for point in points):
        raise ValueError("impossible numbers")
    seen = [float(error) for error in document.get("certified", ())]
    if not all(map(math.isfinite, seen)):
        raise ValueError("impossible errors")
    return points, seen


def _possible(point: Point) -> bool:
    return min(point.rows, point.ends, point.items) >= 0 < point.ms and math.isfinite(
        point.rows + point.ends + point.ms
    )

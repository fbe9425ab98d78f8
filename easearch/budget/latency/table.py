"""The latency table: microseconds of single items on a device, measured once and kept as CSV.

A row's times are an item's alone, without the cost of calling the runtime, which is measured
beside them: a network pays that once, a sum of rows would pay it for each.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easearch.budget.devices import Device, find_device
from easearch.budget.devices.runner import CHUNK
from easearch.budget.devices.timing import Progress, Timing
from easearch.budget.latency.kernels import FREE
from easearch.budget.latency.models import folded, item_model
from easearch.budget.store import write_atomic
from easearch.graph import Shape

LOG = logging.getLogger(__name__)
ROUNDS = 4
SESSIONS = 6
CALL = Shape(
    kind="activation",
    in_channels=1,
    out_channels=1,
    in_size=(),
    out_size=(),
    options=(("function", "relu"),),
)
"""The smallest work there is: what its run costs is the call."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured item."""

    item: str
    min_us: float
    median_us: float
    p90_us: float
    runs: int
    date: str


Item = tuple[Shape, ...]
COLUMNS = tuple(field.name for field in fields(Row))


class LatencyTable:
    """Rows of one device; what is missing is measured when it is asked for."""

    def __init__(self, device: str | Device = "host", progress: Progress | None = None) -> None:
        self.device = find_device(device)
        self.progress = progress
        self.measured = 0
        """How many rows this object has measured."""
        self._rows: dict[str, Row] | None = None

    @property
    def path(self) -> Path:
        """The CSV file."""
        return self.device.folder / "latency.csv"

    def rows(self, items: Sequence[Item]) -> list[float]:
        """Microseconds of each item by itself; measures what is new, all in turns.

        Raises:
            DeviceError: an item cannot be executed.
        """
        if self._rows is None:
            self._rows = read_rows(self.path)
        rows = self._rows
        keys = {item: item_key(item) for item in dict.fromkeys(items) if not is_free(item)}
        self._measure({key: item for item, key in keys.items() if key not in rows}, rows)
        return [rows[keys[item]].min_us if item in keys else 0.0 for item in items]

    def _measure(self, missing: Mapping[str, Item], rows: dict[str, Row]) -> None:
        date = datetime.now(UTC).date().isoformat()
        waiting = list(missing)
        share = CHUNK // SESSIONS - 1
        for start in range(0, len(waiting), share):
            keys = waiting[start : start + share]
            models = [item_model((CALL,)), *(item_model(missing[key]) for key in keys)]
            call, *timings = self.device.time(models, rounds=ROUNDS, sessions=SESSIONS)
            fresh = [_row(key, t, call, date) for key, t in zip(keys, timings, strict=True)]
            rows.update({row.item: row for row in fresh})
            self.measured += len(keys)
            # Saved chunk by chunk, with what others have added meanwhile: nothing measured is lost.
            merge_rows(self.path, fresh)
            if self.progress is not None:
                self.progress(start + len(keys), len(waiting))


def is_free(item: Item) -> bool:
    """Whether a runtime has nothing to do for the item."""
    return all(shape.kind in FREE for shape in item)


def item_key(item: Item) -> str:
    """A readable name of an item with everything that its time depends on."""
    return " + ".join(_shape_key(shape) for shape in folded(item))


def _shape_key(shape: Shape) -> str:
    ins, outs = ("x".join(map(str, size)) or "1" for size in (shape.in_size, shape.out_size))
    axes = (shape.in_axis, shape.out_axis)
    where = [] if axes == (1, 1) else [f"axes={'>'.join(str(axis or '-') for axis in axes)}"]
    options = (f"{name}={_text(value)}" for name, value in shape.options)
    return " ".join(
        [f"{shape.kind} {shape.in_channels}>{shape.out_channels} {ins}>{outs}", *where, *options]
    )


def _text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read_rows(path: Path) -> dict[str, Row]:
    """A table's rows by item; damaged ones are left out, with a warning, to be measured again."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        LOG.warning("the latency table %s cannot be read (%s); measuring again", path, error)
        return {}
    rows: dict[str, Row] = {}
    damaged = 0
    reader = csv.reader(io.StringIO(text.replace("\0", "?")))
    if tuple(next(reader, ())) != COLUMNS:
        LOG.warning("the latency table %s lacks its header; measuring again", path)
        return {}
    try:
        for cells in reader:
            row = _parsed(cells)
            if row is None:
                damaged += 1
            else:
                rows[row.item] = row
    except csv.Error:
        damaged += 1
    if damaged:
        LOG.warning("%d damaged rows in the latency table %s; measuring again", damaged, path)
    return rows


def merge_rows(path: Path, fresh: Sequence[Row]) -> None:
    """Add rows to a table file; a row that is already there stays as it is."""
    rows = {row.item: row for row in fresh} | read_rows(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, name) for name in COLUMNS] for row in rows.values())
    write_atomic(path, text.getvalue())


def _parsed(cells: Sequence[str]) -> Row | None:
    try:
        item, low, median, high, runs, date = cells
        row = Row(
            item=item,
            min_us=float(low),
            median_us=float(median),
            p90_us=float(high),
            runs=int(runs),
            date=date,
        )
    except ValueError:
        return None
    ordered = 0 <= row.min_us <= row.median_us <= row.p90_us < math.inf
    return row if item and ordered and row.runs > 0 else None


def _row(key: str, timing: Timing, call: Timing, date: str) -> Row:
    low, median, high = (
        round(max(0.0, value - call.min_us), 3)
        for value in (timing.min_us, timing.median_us, timing.p90_us)
    )
    return Row(item=key, min_us=low, median_us=median, p90_us=high, runs=timing.runs, date=date)

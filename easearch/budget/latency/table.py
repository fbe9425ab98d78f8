"""The latency table: microseconds of single items on a device, measured once and kept as CSV.

A row's times are an item's alone, without the cost of calling the runtime, which is measured
beside them: a network pays that once, a sum of rows would pay it for each. Items are timed on a
grid of widths (`grid`); what lies between is interpolated.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from easearch.budget.devices import Device, find_device
from easearch.budget.devices.timing import Progress, Timing
from easearch.budget.latency.grid import TWO_WAYS, Point, between, corners, family, moved, point
from easearch.budget.latency.guess import guessed
from easearch.budget.latency.kernels import is_free
from easearch.budget.latency.models import item_model
from easearch.budget.latency.noise_guard import BUSY, Quiet
from easearch.budget.latency.rows import (
    Description,
    Item,
    Row,
    describe,
    item_key,
    kept_rows,
    merge_rows,
    read_rows,
)
from easearch.budget.latency.step import find_step
from easearch.budget.time_cap import TimeCap
from easearch.errors import DeviceError

LOG = logging.getLogger(__name__)
ROUNDS, COLD_ROUNDS = 4, 12
"""Visits a session; with cold caches a visit is a single run."""
SESSIONS, FEW_SESSIONS = 6, 2
HEAVY = 2**22
"""A model of more bytes is timed in few sessions, as all are with cold caches: it takes long, and
its buffers are too large, or too far away, to lie unluckily."""
BATCH_MODELS, BATCH_BYTES = 50, 2**26
"""What is timed, and saved, at once."""
CAPPED_MODELS = 16
"""So many at once where time is capped: the cap is looked at between batches."""


class LatencyTable:
    """Rows of one device and precision; what is missing is measured when it is asked for.

    Args:
        device: a name, or a device.
        progress: called with (done, total) while rows are measured.
        precision: "fp32" or "int8".
        cap: past it new rows are estimated instead of measured (`estimate.guessed`).
    """

    def __init__(
        self,
        device: str | Device = "host",
        progress: Progress | None = None,
        precision: str = "fp32",
        cap: TimeCap | None = None,
    ) -> None:
        self.cap = cap
        self.device = find_device(device)
        self.progress = progress
        self.precision = precision
        self.measured = 0
        """How many rows this object has measured."""
        self.quiet = Quiet(self.device, read_on=self._read_on)
        self.used: set[str] = set()
        """Keys of the rows that were asked for."""

    @property
    def path(self) -> Path:
        """The CSV file of what was measured from here."""
        return self.device.folder / "latency.csv"

    @property
    def _read_on(self) -> bool:
        return self.precision == "fp32"

    @cached_property
    def known(self) -> dict[str, Row]:
        """Rows by item: the profile's, and what was measured since."""
        profile = self.device.profile
        told = read_rows(profile.rows_file) if profile is not None else {}
        return {**told, **kept_rows(self.path)}

    @cached_property
    def step(self) -> int:
        """The device's step of widths."""
        return find_step(self.device)

    def rows(self, items: Sequence[Item]) -> list[float]:
        """Microseconds of each item by itself; measures what is new, all in turns.

        Of a device that cannot be asked, infinity for an item outside of the widths in its table.

        Raises:
            DeviceError: an item cannot be executed, or the device cannot be asked and its table
                does not tell.
        """
        wanted = [item for item in dict.fromkeys(items) if not is_free(item)]
        if self.device.stopwatch is None:
            found = self._told(wanted)
        else:
            made = {item: self._corners(item) for item in wanted}
            self._measure(
                {key: corner for parts in made.values() for key, (corner, _) in parts.items()}
            )
            found = {
                item: sum(
                    weight * self._time_of(key, corner) for key, (corner, weight) in parts.items()
                )
                for item, parts in made.items()
            }
        return [found.get(item, 0.0) for item in items]

    def measure(self, items: Sequence[Item], *, again: bool = False) -> None:
        """Measure the items that have no row; `again`: those too that were measured while busy.

        Raises:
            DeviceError: an item cannot be executed, or the device not be reached.
        """
        paid = (item for item in items if not is_free(item))
        self._measure({item_key(item, self.precision): item for item in paid}, again=again)

    def _measure(self, keys: Mapping[str, Item], *, again: bool = False) -> None:
        self.used.update(keys)
        missing = {key: item for key, item in keys.items() if self._lacks(key, again)}
        done = 0
        for batch in self._batches(missing):
            if self.cap is not None and self.cap.over and self.known:
                return  # what is missing is estimated
            fresh = self._timed(batch)
            self.known.update({row.item: row for row in fresh})
            self.measured += len(fresh)
            done += len(fresh)
            # Saved batch by batch, with what others have added meanwhile: nothing measured is lost.
            merge_rows(self.path, fresh)
            if self.progress is not None:
                self.progress(done, len(missing))
            if self.cap is not None:
                self.cap.report(done, len(missing))

    def _time_of(self, key: str, item: Item) -> float:
        """The row's microseconds; past the cap those that other rows suggest."""
        if key in self.known or self.cap is None:
            return self.known[key].min_us
        self.cap.estimated.add(key)
        us = self._from_table(item)
        return guessed(item, self.known.values()) if us is None else us

    def _lacks(self, key: str, again: bool) -> bool:
        return key not in self.known or (again and self.known[key].spread > BUSY)

    def _corners(self, item: Item) -> dict[str, tuple[Item, float]]:
        """Keys of the rows that make up an item, with their items and weights."""
        key = item_key(item, self.precision)
        if key in self.known or point(item) is None:
            return {key: (item, 1.0)}
        parts = ((moved(item, at), weight) for at, weight in corners(item, self.step).items())
        return {item_key(part, self.precision): (part, weight) for part, weight in parts}

    def _batches(self, missing: Mapping[str, Item]) -> Iterator[dict[Item, bytes]]:
        batch: dict[Item, bytes] = {}
        for item in missing.values():
            model = item_model(item, precision=self.precision, read_on=self._read_on)
            full = BATCH_MODELS if self.cap is None else CAPPED_MODELS
            if len(batch) == full or sum(map(len, batch.values())) > BATCH_BYTES:
                yield batch
                batch = {}
            batch[item] = model
        if batch:
            yield batch

    def _timed(self, batch: Mapping[Item, bytes]) -> list[Row]:
        """A row an item, without the call to the runtime."""
        date = datetime.now(UTC).date().isoformat()
        models = list(batch.values())
        few = self.device.cold or max(map(len, models)) >= HEAVY
        timings = self.quiet.time(
            models,
            rounds=COLD_ROUNDS if self.device.cold else ROUNDS,
            sessions=FEW_SESSIONS if few else SESSIONS,
        )
        call = self.quiet.call_us
        return [
            self._row(item, _without(timing, call), date)
            for item, timing in zip(batch, timings, strict=True)
        ]

    def _row(self, item: Item, timing: Timing, date: str) -> Row:
        return Row(
            description=describe(item, self.precision),
            min_us=round(timing.min_us, 3),
            median_us=round(timing.median_us, 3),
            p90_us=round(timing.p90_us, 3),
            runs=timing.runs,
            spread=round(timing.disturbed, 4),
            date=date,
            item=item_key(item, self.precision),
        )

    # --- a device that cannot be asked

    def _told(self, wanted: Sequence[Item]) -> dict[Item, float]:
        found = {item: self._from_table(item) for item in wanted}
        for item in [item for item, us in found.items() if us is None and self._beyond(item)]:
            found[item] = math.inf
        missing = [item for item, us in found.items() if us is None]
        if missing:
            raise self.lacking(missing)
        return {item: us for item, us in found.items() if us is not None}

    def lacking(self, missing: Sequence[Item]) -> DeviceError:
        """The error that says which items the table does not tell."""
        listed = "; ".join(_said(describe(item, self.precision)) for item in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return DeviceError(
            f"the table of '{self.device.name}' has no rows for {len(missing)} operators of "
            f"this network ({listed}{more}), and nothing can be run on the device from here; "
            "`easearch profile MODEL --device "
            f"{self.device.name} --todo FOLDER` writes what to measure there"
        )

    def has(self, item: Item) -> bool:
        """Whether the item has a row of its own."""
        return item_key(item, self.precision) in self.known or (
            describe(item, self.precision) in self._described
        )

    def _beyond(self, item: Item) -> bool:
        """Whether an item lies outside of the widths at which the table has its family."""
        return point(item) is not None and bool(self._known_family(item))

    def _known_family(self, item: Item) -> Mapping[Point, float]:
        return self._families.get(describe(family(item), self.precision)._replace(groups=""), {})

    def _from_table(self, item: Item) -> float | None:
        at = point(item)
        row = self.known.get(item_key(item, self.precision)) or self._described.get(
            describe(item, self.precision)
        )
        if row is not None or at is None:
            return row.min_us if row is not None else None
        two_ways = item[0].kind in TWO_WAYS
        us = between(self._known_family(item), at, self.step, two_ways=two_ways)
        if us is None and len(item) > 1:
            return self._apart(item)
        return us

    def _apart(self, item: Item) -> float | None:
        """A fused item as its parts; a table without any activation is taken to have them fused."""
        parts = [(shape,) for shape in item if shape.kind != "batch_norm"]
        if not any(row.description.kind == "activation" for row in self.known.values()):
            parts = parts[:1]
        if len(parts) == len(item) == 1:
            return None
        times = [self._from_table(part) for part in parts]
        return None if None in times else sum(us for us in times if us is not None)

    @cached_property
    def _described(self) -> dict[Description, Row]:
        """Rows that came without an item: their description is all that is known."""
        return {row.description: row for row in self.known.values()}

    @cached_property
    def _families(self) -> dict[Description, dict[Point, float]]:
        found: dict[Description, dict[Point, float]] = {}
        for row in self.known.values():
            said = row.description
            name = said._replace(ins=0, outs=0, groups="")
            found.setdefault(name, {})[Point(said.ins, said.outs)] = row.min_us
        return found


def _without(timing: Timing, call_us: float) -> Timing:
    return replace(
        timing,
        min_us=max(0.0, timing.min_us - call_us),
        median_us=max(0.0, timing.median_us - call_us),
        p90_us=max(0.0, timing.p90_us - call_us),
    )


def _said(one: Description) -> str:
    window = f" {one.kernel} stride {one.stride}" if one.kernel else ""
    return f"{one.kind}{window} {one.ins}>{one.outs} at {one.size or '1'} {one.dtype}"

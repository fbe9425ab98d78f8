"""Building a device's profile: what models can come to consist of, timed there, kept as files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from easearch.budget.devices import Device, Profile, device_of
from easearch.budget.devices.host import Host
from easearch.budget.devices.profile import (
    ROWS,
    HostPart,
    LinePart,
    TablePart,
    new_folder,
    profile_folders,
)
from easearch.budget.devices.timing import Progress
from easearch.budget.latency.affine import Point, fit, left_out
from easearch.budget.latency.calibration import REACH, calibrate
from easearch.budget.latency.pasted import read_pasted
from easearch.budget.latency.reachable import reachable
from easearch.budget.latency.rows import Row, as_csv, read_rows, summarized
from easearch.budget.latency.step import find_step
from easearch.budget.latency.table import LatencyTable
from easearch.budget.store import write_atomic
from easearch.errors import DeviceError, shown
from easearch.graph import Graph
from easearch.untrusted import RULE, is_name

COVERED = 0.95
"""Share of the networks whose error stays within a profile's interval."""
PASTED_STEP: Literal[8] = 8
"""Of a table from elsewhere, where nobody says: the smallest block in wide use."""


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """What profiling a device gave."""

    device: Device
    measured: int
    """Rows timed now; the others were known."""
    rows: int
    spread: float
    """Median noise of the rows, as a fraction."""
    step: int
    intervals: Mapping[str, float] = field(default_factory=dict)
    """Precision -> relative error of whole networks (95 %), where some were measured."""
    folder: Path
    """Where the profile is (of this host without one: where its measurements are kept)."""


def measured(
    device: Device,
    graphs: Sequence[Graph],
    *,
    precisions: Sequence[str] = ("fp32",),
    reach: float = REACH,
    progress: Progress | None = None,
) -> Profiled:
    """Measure all that networks can reach on a device, calibrate, and write its profile, if any.

    What is known already is not measured again, but for rows that were timed on a busy machine; so
    it can be interrupted and begun again.

    Args:
        device: where; one that can be reached.
        graphs: the networks.
        precisions: in which numbers.
        reach: how many times as wide as now they may become.
        progress: called with (done, total) rows.

    Raises:
        DeviceError: the device cannot be reached, or an item cannot be executed there.
    """
    step = find_step(device)
    kept: dict[str, Row] = {}
    lines: dict[str, LinePart] = {}
    new = 0
    for precision in precisions:
        table = LatencyTable(device, progress, precision)
        items = dict.fromkeys(item for graph in graphs for item in reachable(graph, step, reach))
        table.measure(list(items), again=True)
        found = [calibrate(graph, table, reach) for graph in graphs]
        line = _line([one.points for one in found])
        if line is not None:
            lines[precision] = line
        new += table.measured
        kept |= {key: table.known[key] for key in sorted(table.used)}
    folder = device.folder
    if device.profile is not None:
        folder = device.profile.folder
        device = device_of(_written(device, kept, step, lines))
        kept = read_rows(folder / ROWS)
    told = summarized(kept.values())
    return Profiled(
        device=device,
        measured=new,
        rows=int(told["rows"]),
        spread=told["spread"],
        step=step,
        intervals={precision: line.interval for precision, line in lines.items()},
        folder=folder,
    )


def pasted(name: str, path: Path, *, cpu: str | None = None, step: int | None = None) -> Profiled:
    """A device's profile from a CSV of another tool (see `latency.pasted`).

    Rows that the device has already are kept, or replaced by the file's.

    Raises:
        DeviceError: the file cannot be understood.
    """
    _check_name(name)
    rows = read_pasted(path)
    folder = profile_folders().get(name, new_folder(name))
    known = Profile.read(folder, trusted=False) if name in profile_folders() else None
    host = HostPart(cpu=cpu or name, threads=1, runtime=f"as told by {path.name}", provider="none")
    profile = known or Profile(name=name, reach="table", host=host, step=PASTED_STEP)
    if step is not None:
        profile = Profile.of({**profile.model_dump(), "step": step}, name)
    kept = read_rows(folder / ROWS) if known is not None else {}
    kept |= {row.item or repr(row.description): row for row in rows}
    write_atomic(folder / ROWS, as_csv(kept.values()))
    device = device_of(_sealed(profile, folder, kept.values()))
    told = summarized(kept.values())
    return Profiled(
        device=device,
        measured=0,
        rows=int(told["rows"]),
        spread=told["spread"],
        step=find_step(device),
        folder=folder,
    )


def _written(
    device: Device, kept: Mapping[str, Row], step: int, lines: Mapping[str, LinePart]
) -> Profile:
    profile = device.profile
    assert profile is not None
    kept = {**read_rows(profile.rows_file), **kept}
    write_atomic(profile.rows_file, as_csv(kept.values()))
    changed = profile.model_copy(
        update={
            "host": _host_part(device.host),
            "step": step,
            "calibration": {**profile.calibration, **lines},
        }
    )
    return _sealed(changed, profile.folder, kept.values())


def _host_part(host: Host) -> HostPart:
    return HostPart.model_validate({k: v for k, v in host.to_json().items() if k != "key"})


def _sealed(profile: Profile, folder: Path, rows: Iterable[Row]) -> Profile:
    date = datetime.now(UTC).date().isoformat()
    table = TablePart(rows=len(list(rows)), sha256="", date=date)
    return profile.model_copy(update={"table": table}).write(folder)


def _line(groups: Sequence[Sequence[Point]]) -> LinePart | None:
    """A line through networks of all structures, for those that cannot be measured."""
    points = [point for group in groups for point in group]
    # Each structure predicted by the others; of a single one, each network.
    errors = left_out(groups if len(groups) > 1 else [[point] for point in points])
    if not errors:
        return None
    line = fit(points)
    return LinePart(
        a_ms=line.a,
        b=max(line.b, 1e-9),
        c=line.c,
        each_ms=line.each,
        interval=float(np.quantile(np.abs(errors), COVERED)),
        networks=len(points),
    )


def new_device(name: str, settings: Mapping[str, Any]) -> Device:
    """A device that has no profile yet: asked what it is, and given a folder in `budgets/`.

    Args:
        name: the folder's name.
        settings: fields of `Profile`, as far as they are not the defaults.

    Raises:
        DeviceError: the settings do not fit, or the device cannot be reached.
    """
    _check_name(name)
    profile = Profile.of({"name": name, **settings}, name)
    stopwatch = device_of(profile).stopwatch
    if stopwatch is None:
        raise DeviceError(f"the device '{name}' cannot be reached; say how, or give its --csv")
    profile = profile.model_copy(update={"host": _host_part(stopwatch.facts())})
    return device_of(profile.write(new_folder(name)))


def _check_name(name: str) -> None:
    if not is_name(name):
        raise DeviceError(f"expected a device's name of {RULE}, got {shown(name)}")

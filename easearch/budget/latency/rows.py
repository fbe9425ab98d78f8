"""Rows of a latency table, and the CSV file that keeps them.

The first columns describe an operator as people and vendors' tools do; `item` holds everything that
its time depends on. A row from elsewhere has no `item`: its description stands for it.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from easearch.budget.latency.kernels import folded
from easearch.budget.store import keep, kept, set_aside
from easearch.errors import FileFormatError, reason_of
from easearch.graph import Shape
from easearch.untrusted import TABLE_BYTES, read_text

LOG = logging.getLogger(__name__)
WIDEST = 2**30
"""Channels or features of an operator."""
Item = tuple[Shape, ...]


class Description(NamedTuple):
    """An operator in a vendor's words: sizes are `16x16`, what does not apply is empty."""

    kind: str
    ins: int
    outs: int
    kernel: str
    stride: str
    size: str
    groups: str
    activation: str
    dtype: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured item."""

    description: Description
    item: str = ""
    min_us: float
    median_us: float
    p90_us: float
    runs: int
    spread: float = 0.0
    """How far two halves of the measurement are apart: the noise, as a fraction."""
    date: str = ""


DESCRIBED = ("kind", "in", "out", "kernel", "stride", "size", "groups", "activation", "dtype")
MEASURED = tuple(field.name for field in fields(Row))[1:]
COLUMNS = (*DESCRIBED, *MEASURED)
NEEDED = ("kind", "in", "out", "size")
"""Columns that a table from elsewhere must have, besides `us` or `min_us`."""


def describe(item: Item, precision: str = "fp32") -> Description:
    """An item in words."""
    head, options = item[0], dict(item[0].options)
    acts = [str(dict(s.options)["function"]) for s in item[1:] if s.kind == "activation"]
    own = str(options["function"]) if head.kind == "activation" else ""
    return Description(
        kind=head.kind,
        ins=head.in_channels,
        outs=item[-1].out_channels,
        kernel=_size(options.get("kernel", ())),
        stride=_size(options.get("stride", ())),
        size=_size(_sizes(head.in_batch, head.in_size)),
        groups=str(head.in_channels // options["each"]) if "each" in options else "",
        activation="+".join(acts) or own,
        dtype=precision,
    )


def item_key(item: Item, precision: str = "fp32") -> str:
    """A readable name of an item with everything that its time depends on."""
    return " + ".join([*map(_shape_key, folded(item)), *([precision] * (precision != "fp32"))])


def _shape_key(shape: Shape) -> str:
    ins = _size(_sizes(shape.in_batch, shape.in_size)) or "1"
    outs = _size(_sizes(shape.out_batch, shape.out_size)) or "1"
    axes = (shape.in_axis, shape.out_axis)
    where = [] if axes == (1, 1) else [f"axes={'>'.join(str(axis or '-') for axis in axes)}"]
    options = (f"{name}={_text(value)}" for name, value in shape.options)
    return " ".join(
        [f"{shape.kind} {shape.in_channels}>{shape.out_channels} {ins}>{outs}", *where, *options]
    )


def _sizes(batch: int, size: tuple[int, ...]) -> tuple[int, ...]:
    return size if batch == 1 else (batch, *size)


def _text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _size(value: Sequence[int]) -> str:
    return "x".join(map(str, value))


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a table that came with a profile, by item; none where there is no such file.
    Damaged ones are left out, with a warning.
    """
    try:
        return _rows(read_text(path, TABLE_BYTES), path)
    except FileNotFoundError:
        return {}
    except (OSError, FileFormatError) as error:
        LOG.warning("the latency table %s cannot be read (%s)", path, reason_of(error))
        return {}


def kept_rows(path: Path) -> dict[str, Row]:
    """The rows that were measured here, by item; damaged ones are measured again."""
    text = kept(path)
    try:
        return {} if text is None else _rows(text, path)
    except FileFormatError as error:
        set_aside(path, reason_of(error))
        return {}


def _rows(text: str, path: Path) -> dict[str, Row]:
    reader = csv.reader(io.StringIO(text.replace("\0", "?")))
    try:
        head = tuple(next(reader, ()))
    except csv.Error:
        head = ()
    if head != COLUMNS:
        raise FileFormatError("it lacks its header")
    rows: dict[str, Row] = {}
    damaged = 0
    try:
        for cells in reader:
            try:
                row = _parsed(dict(zip(COLUMNS, cells, strict=True)))
            except (ValueError, KeyError):
                damaged += 1
            else:
                rows[row.item or repr(row.description)] = row
    except csv.Error:
        damaged += 1
    if damaged:
        LOG.warning("%d damaged rows in the latency table %s; measuring again", damaged, path)
    return rows


def merge_rows(path: Path, fresh: Sequence[Row]) -> None:
    """Add rows to the file of those measured here; of two of one item the quieter stays."""
    rows = kept_rows(path)
    for row in fresh:
        key = row.item or repr(row.description)
        if key not in rows or row.spread < rows[key].spread:
            rows[key] = row
    keep(path, as_csv(rows.values()))


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as the text of a table file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*row.description, *(getattr(row, name) for name in MEASURED)] for row in rows)
    return text.getvalue()


def summarized(rows: Iterable[Row]) -> dict[str, float]:
    """How many rows, and the median noise: for a line about a table."""
    known = list(rows)
    return {
        "rows": len(known),
        "spread": statistics.median([row.spread for row in known]) if known else 0.0,
    }


def _parsed(cells: Mapping[str, str]) -> Row:
    low, median, high = (float(cells[name]) for name in ("min_us", "median_us", "p90_us"))
    runs, spread = int(cells["runs"]), float(cells["spread"])
    if not (0 <= low <= median <= high < math.inf and runs > 0 and 0 <= spread < math.inf):
        raise ValueError("impossible times")
    ins, outs = int(cells["in"]), int(cells["out"])
    if not (0 < ins <= WIDEST and 0 < outs <= WIDEST):
        raise ValueError("impossible widths")
    return Row(
        description=Description(
            kind=cells["kind"],
            ins=ins,
            outs=outs,
            kernel=cells["kernel"],
            stride=cells["stride"],
            size=cells["size"],
            groups=cells["groups"],
            activation=cells["activation"],
            dtype=cells["dtype"],
        ),
        min_us=low,
        median_us=median,
        p90_us=high,
        runs=runs,
        spread=spread,
        date=cells["date"],
        item=cells["item"],
    )

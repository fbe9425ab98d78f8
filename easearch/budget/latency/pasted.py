"""Tables from elsewhere: a CSV pasted from any vendor's tool, and the list of what it lacks."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from easearch.budget.latency.models import item_model
from easearch.budget.latency.rows import (
    DESCRIBED,
    NEEDED,
    Description,
    Item,
    Row,
    describe,
    item_key,
)
from easearch.budget.store import write_atomic
from easearch.errors import DeviceError, FileFormatError, nearest, reason_of, shown
from easearch.roles import PRECISIONS
from easearch.tracing import KINDS
from easearch.untrusted import TABLE_BYTES, read_text

TIMES = {"min_us": 1.0, "us": 1.0, "latency_us": 1.0, "min_ms": 1e3, "ms": 1e3, "latency_ms": 1e3}
"""Names of the column that holds the time -> its unit in microseconds."""
SYNONYMS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "pointwise"), "conv"),
    **dict.fromkeys(("depthwise_conv2d", "depthwiseconv2d", "dwconv", "dw"), "depthwise"),
    **dict.fromkeys(("fully_connected", "fullyconnected", "dense", "gemm", "fc"), "linear"),
    **dict.fromkeys(("relu", "relu6", "hardswish", "silu", "gelu", "sigmoid"), "activation"),
}
"""What others call our kinds."""
TODO = "shapes.csv"
LARGEST = 2**24
"""A width or a size beyond it is no layer's."""


def read_pasted(path: Path) -> list[Row]:
    """The rows of a CSV file: columns kind, in, out, size, a time, and what else is told.

    `kernel`, `stride`, `groups`, `activation`, `dtype` may be left out where they do not apply;
    sizes are `3x3` or `3`. Our own tables and filled-in lists of `write_todo` are read too.

    Raises:
        DeviceError: says which line and column cannot be understood.
    """
    path = path / TODO if path.is_dir() else path
    try:
        text = read_text(path, TABLE_BYTES)
        table = csv.reader(io.StringIO(text.replace("\0", "?")), dialect=_dialect(text))
        lines = list(table)
    except (OSError, FileFormatError, csv.Error) as error:
        why = reason_of(error)
        raise DeviceError(f"{path}: expected a CSV file in UTF-8, got none ({why})") from None
    heads = [head.strip().lower() for head in (lines[0] if lines else [])]
    times = [head for head in heads if head in TIMES]
    lacking = [name for name in NEEDED if name not in heads]
    double = sorted({head for head in heads if head and heads.count(head) > 1})
    if double:
        raise DeviceError(f"{path}: expected each column once, got several of {', '.join(double)}")
    if lacking or not times:
        wanted = ", ".join([*lacking, *([] if times else [f"a time ({', '.join(TIMES)})"])])
        got = shown(", ".join(heads), 200)[1:-1] or "none"
        raise DeviceError(f"{path}: expected the columns {wanted}, got {got}")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if any(cell.strip() for cell in cells):
            told = dict(zip(heads, (cell.strip() for cell in cells), strict=False))
            try:
                rows.append(_row(told, times[0]))
            except ValueError as error:
                raise DeviceError(f"{path}: line {number}: {error}") from None
    if not rows:
        raise DeviceError(f"{path}: expected rows below the head, got none")
    return rows


def write_todo(items: Mapping[str, Iterable[Item]], folder: Path) -> int:
    """What to measure elsewhere: an ONNX model an item, and a CSV with a column `us` to be filled.

    Args:
        items: by precision.
        folder: where the models and the list are written; the name of a CSV file is the list's, and
            its models are beside it.

    Returns:
        How many there are.
    """
    folder, told = todo_places(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*DESCRIBED, "us", "model", "item"])
    number = 0
    pairs = ((precision, item) for precision, each in items.items() for item in each)
    for number, (precision, item) in enumerate(pairs, start=1):
        name = f"{number:05d}.onnx"
        (folder / name).write_bytes(item_model(item, precision=precision))
        writer.writerow([*describe(item, precision), "", name, item_key(item, precision)])
    write_atomic(told, text.getvalue())
    return number


def todo_places(path: Path) -> tuple[Path, Path]:
    """The folder of the models, and the list."""
    return (path.with_suffix(""), path) if path.suffix == ".csv" else (path, path / TODO)


def _row(told: Mapping[str, str], time: str) -> Row:
    us = _number(told, time) * TIMES[time]
    return Row(
        description=_description(told),
        item=told.get("item", ""),
        min_us=us,
        median_us=max(us, _number(told, "median_us", us)),
        p90_us=max(us, _number(told, "median_us", us), _number(told, "p90_us", us)),
        runs=_whole(told, "runs") if told.get("runs") else 1,
        spread=_number(told, "spread", 0.0),
        date=told.get("date") or datetime.now(UTC).date().isoformat(),
    )


def _description(told: Mapping[str, str]) -> Description:
    name = told["kind"].lower().replace(" ", "_").replace("-", "_")
    kind = SYNONYMS.get(name, name)
    if kind not in KINDS:
        raise ValueError(
            f"kind: expected a kind of layer, got {shown(told['kind'])}; {nearest(kind, KINDS)}"
        )
    size = _sizes(told, "size")
    axes = max(1, len(size)) if kind != "linear" else len(size)
    kernel, stride = (_sizes(told, name, axes) for name in ("kernel", "stride"))
    ins, outs = _whole(told, "in"), _whole(told, "out")
    groups = str(_whole(told, "groups")) if told.get("groups") else ""
    if groups and (ins % int(groups) or outs % int(groups)):
        raise ValueError(f"groups: expected a divisor of {ins} and {outs}, got '{groups}'")
    dtype = told.get("dtype", "").lower() or PRECISIONS[0]
    dtype = {"float32": "fp32", "float": "fp32", "uint8": "int8"}.get(dtype, dtype)
    if dtype not in PRECISIONS:
        raise ValueError(f"dtype: expected {' or '.join(PRECISIONS)}, got {shown(told['dtype'])}")
    if kind == "conv" and groups not in ("", "1"):
        kind = "depthwise" if int(groups) == ins == outs else "grouped"
    own = name if kind == "activation" and name != "activation" else ""
    windowed = kind in ("conv", "depthwise", "grouped", "transposed", "transposed_depthwise")
    return Description(
        kind=kind,
        ins=ins,
        outs=outs,
        kernel=_text(kernel or ((1,) * axes if windowed else ())),
        stride=_text(stride or ((1,) * axes if windowed else ())),
        size=_text(size),
        groups=str(ins) if kind == "depthwise" else groups if kind == "grouped" else "",
        activation=told.get("activation", "").lower() or own,
        dtype=dtype,
    )


def _number(told: Mapping[str, str], name: str, default: float | None = None) -> float:
    text = told.get(name, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}: expected a number, got {shown(text)}") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a number that is not negative, got {shown(text)}")
    return value


def _whole(told: Mapping[str, str], name: str) -> int:
    value = _number(told, name)
    if value != int(value) or not 1 <= value <= LARGEST:
        raise ValueError(
            f"{name}: expected a whole number of 1 to {LARGEST:,}, got {shown(told[name])}"
        )
    return int(value)


def _sizes(told: Mapping[str, str], name: str, axes: int = 2) -> tuple[int, ...]:
    text = told.get(name, "").lower().replace("*", "x").replace(" ", "")
    if not text or (name == "size" and told["kind"].lower() in ("linear", "fc") and text == "1"):
        return ()
    if not re.fullmatch(r"\d+(x\d+)*", text):
        raise ValueError(f"{name}: expected a size such as 3x3 or 3, got {shown(told[name])}")
    found = tuple(_whole({name: part}, name) for part in text.split("x"))
    return found * axes if len(found) == 1 else found


def _text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _dialect(text: str) -> type[csv.Dialect]:
    """Commas, semicolons or tabs: spreadsheets of other countries write these."""
    try:
        return csv.Sniffer().sniff(text.split("\n", 1)[0], delimiters=",;\t")
    except csv.Error:
        return csv.excel

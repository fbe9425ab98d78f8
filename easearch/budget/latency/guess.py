"""The time of an operator that was not measured: in proportion to its work, as rows of its kind."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from easearch.budget.latency.grid import TWO_WAYS
from easearch.budget.latency.rows import Item, Row
from easearch.graph import Shape


def guessed(item: Item, known: Iterable[Row]) -> float:
    """Microseconds: the median rate of rows of the item's kind, else of all rows, times its work.

    The rate is that of columns times columns times positions, as rows are described; 0 without any
    rows.
    """
    rows = list(known)
    alike = [row for row in rows if row.description.kind == item[0].kind] or rows
    rates = [row.min_us / _described(row) for row in alike]
    return statistics.median(rates) * _work(item[0]) if rates else 0.0


def _described(row: Row) -> float:
    """The work of a row, by its description."""
    said = row.description
    return _columns(said.kind, said.ins, said.outs) * _product(said.kernel) * _product(said.size)


def _work(shape: Shape) -> float:
    """The work of an item's head, counted as that of a row is."""
    kernel = dict(shape.options).get("kernel", ())
    window = math.prod(kernel) if isinstance(kernel, tuple) else 1
    columns = _columns(shape.kind, shape.in_channels, shape.out_channels)
    return columns * window * shape.in_positions


def _columns(kind: str, ins: int, outs: int) -> float:
    return float(max(ins, 1) * max(outs, 1) if kind in TWO_WAYS else max(outs, 1))


def _product(size: str) -> float:
    numbers = [int(part) for part in size.split("x") if part.isdecimal()]
    return float(math.prod(numbers)) if numbers else 1.0

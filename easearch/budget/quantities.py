"""Quantities as people write them: `"4 ms"`, `"12M"`, `"2.5x"`, keys such as `latency_ms`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from easearch.errors import BudgetError, shown

_COUNTS = {"k": 1e3, "m": 1e6, "g": 1e9}
UNITS: Mapping[str, Mapping[str, float]] = {
    "ms": {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3},
    "bytes": {
        "bytes": 1.0,
        "b": 1.0,
        "kb": 1e3,
        "mb": 1e6,
        "gb": 1e9,
        "kib": 2.0**10,
        "mib": 2.0**20,
    },
    "MACs": {"macs": 1.0, "kmacs": 1e3, "mmacs": 1e6, "gmacs": 1e9, **_COUNTS},
    "params": {"params": 1.0, **_COUNTS},
    "uJ": {"nj": 1e-3, "uj": 1.0, "µj": 1.0, "mj": 1e3, "j": 1e6},
}
"""A meter's unit -> the units in which a limit on it may be written (lower case) -> their size."""
NEEDS_UNIT = ("ms", "uJ")
"""Units that a bare number does not imply: `latency: 4` may mean milliseconds or microseconds."""
EXAMPLES = {"ms": "4 ms", "bytes": "200 KB", "MACs": "12M", "params": "200k", "uJ": "2.5 mJ"}
LARGEST = 1e24
"""No limit is larger in any unit: a slip shows, and sums stay finite."""
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SPELLED = {
    "ms": ((1e3, " s"),),
    "bytes": ((1e9, " GB"), (1e6, " MB"), (1e3, " KB")),
    "MACs": _THOUSANDS,
    "params": _THOUSANDS,
    "uJ": ((1e6, " J"), (1e3, " mJ")),
}
"""A meter's unit -> larger ones, as a person writes them, largest first."""
_TEXT = re.compile(
    r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ]*)\s*", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A limit as written: a value in the meter's unit, or a multiple of the seed's own cost."""

    value: float
    relative: bool = False
    key: str = ""
    """The key as written."""
    text: str = ""
    """The value as written."""
    literal: bool = False
    """Whether the value itself carries its unit: it is then taken at its word."""


def parse(key: str, text: float | str, unit: str, key_unit: str | None) -> Quantity:
    """Read a limit.

    Args:
        key: the key as written, for messages.
        text: the value as written.
        unit: the meter's unit.
        key_unit: the unit that the key carries (`ms` in `latency_ms`), or None.

    Raises:
        BudgetError: no number, not positive, or another quantity's unit.
    """
    number, written = _split(key, text, unit)
    if not 0 < number <= LARGEST:
        raise BudgetError(
            f"{key}: expected a positive number, {LARGEST:g} at most, got {shown(text)}"
        )
    if written == "x":
        return Quantity(value=number, relative=True, key=key, text=str(text), literal=True)
    if written and key_unit and written != key_unit:
        raise BudgetError(
            f"{key}: expected a number in {key_unit}, as the key says, got {shown(text)}"
        )
    chosen = written or key_unit
    if chosen is None and unit in NEEDS_UNIT:
        raise BudgetError(
            f"{key}: expected a value with a unit, {_such_as(unit)}, got {shown(text)}"
        )
    sizes = UNITS.get(unit, {unit.lower(): 1.0})
    if chosen is not None and chosen not in sizes:
        raise BudgetError(
            f"{key}: expected {', '.join(sizes)} or a multiple of the seed, {_such_as(unit)}, "
            f"got {shown(text)}"
        )
    value = number * (sizes[chosen] if chosen else 1.0)
    return Quantity(value=value, key=key, text=str(text), literal=bool(written))


def spelled(value: float, unit: str, digits: int = 6) -> str:
    """A quantity as it may be written for a limit, its unit with it: `4 ms`, `12M`, `200 KB`."""
    for size, name in _SPELLED.get(unit, ()):
        if value >= size:
            return f"{value / size:.{digits}g}{name}"
    return f"{value:.{digits}g} {unit}"


def _split(key: str, text: float | str, unit: str) -> tuple[float, str]:
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise BudgetError(
            f"{key}: expected a number or a text, {_such_as(unit)}, got {shown(text)}"
        )
    if not isinstance(text, str):
        return _float(text), ""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise BudgetError(f"{key}: expected a number, {_such_as(unit)}, got {shown(text)}")
    return _float(match[1]), match[2].lower()


def _float(number: float | str) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _such_as(unit: str) -> str:
    example = EXAMPLES.get(unit)
    return f"such as '{example}' or '2x'" if example else "such as '2x'"

"""JSON: no double keys, no NaN or infinity; bounds on depth, values and digits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from easearch.errors import FileFormatError, shown

DEPTH = 40
"""Of lists and keys in each other."""
VALUES = 2**20
"""Of a document."""
DIGITS = 60
"""Of a whole number."""


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value of a JSON text.

    Args:
        text: as it was read.
        finite: whether NaN and infinities are refused.

    Raises:
        FileFormatError: it is no JSON, or beyond a bound.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant if finite else None,
            parse_int=_whole,
            parse_float=finite_number if finite else None,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FileFormatError(f"expected JSON, got another text at {place}") from None
    except (RecursionError, UnicodeDecodeError) as error:
        deep = isinstance(error, RecursionError)
        told = f"values in each other to a depth of {DEPTH}, got more" if deep else "text in UTF-8"
        raise FileFormatError(f"expected {told}") from None
    _check_bounds(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise FileFormatError(f"the key {shown(twice)} is there twice; keep one")
    return found


def _constant(text: str) -> Any:
    raise FileFormatError(f"expected finite numbers, got {text}")


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise FileFormatError(
            f"expected numbers of {DIGITS} digits at most, got one of {len(text):,}"
        )
    return int(text)


def finite_number(text: str) -> float:
    """The number that a text is, unless it is none or infinite."""
    value = float(text)
    if not math.isfinite(value):
        raise FileFormatError(f"expected finite numbers, got {shown(text)}")
    return value


def _check_bounds(value: Any) -> None:
    level, values = [value], 0
    for _ in range(DEPTH):
        values += len(level)
        if values > VALUES:
            raise FileFormatError(f"expected {VALUES:,} values at most, got more")
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise FileFormatError(f"expected values in each other to a depth of {DEPTH}, got more")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, str):
        check_text(value)
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()


def check_text(text: str) -> None:
    """Refuse halves of characters, which JSON and YAML can write and no file can hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise FileFormatError(
                f"expected whole characters, got a half of one in {shown(text)}"
            ) from None

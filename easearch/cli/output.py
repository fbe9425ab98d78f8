"""What the verbs print: one JSON document, or lines for a person."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one a line, the values in one column.

    Never wrapped here: a terminal folds long lines by itself, and a pipe keeps paths whole.
    """
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def errors_console() -> Console:
    """The console for progress: stderr, so that stdout holds results only."""
    return Console(stderr=True, highlight=False)


@contextlib.contextmanager
def working() -> Iterator[None]:
    """While a verb works, what libraries print goes to stderr: stdout is the result's."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def plain(value: Any) -> Any:
    """A value as JSON can hold it; what is not a number is null."""
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value.as_posix() if isinstance(value, Path) else str(value)

"""What the verbs print: one JSON document, or lines for a person."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

LEAST_PROSE = 30
"""Columns below which the prose of a table stands under its row."""


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


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose last column is prose, as wide as the terminal.

    Where that leaves the prose no room, a row is a paragraph: its name, its cells, the prose.
    Without a terminal nothing is wrapped: a pipe keeps a row on a line.
    """
    width = columns()
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads) - 1)]
    left = sum(widths) + 2 * len(widths)
    if width is not None and width - left < LEAST_PROSE:
        for row in rows:
            print(textwrap.fill(row[0], width))
            for text in ("  ".join(row[1:-1]), row[-1]):
                print(textwrap.fill(text, width, initial_indent="  ", subsequent_indent="  "))
        return
    for row in (heads, ["-" * one for one in (*widths, len(heads[-1]))], *rows):
        cells = "".join(f"{cell:<{one}}  " for cell, one in zip(row, widths, strict=False))
        prose = textwrap.wrap(row[-1], width - left) if width else [row[-1]]
        print(f"\n{' ' * left}".join([cells + prose[0], *prose[1:]]))


def print_prose(text: str) -> None:
    """Print sentences, wrapped where there is a terminal."""
    width = columns()
    print(textwrap.fill(text, width) if width else text)


def columns() -> int | None:
    """Columns of the terminal, or those that the environment asks for; None in a pipe."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return max(shutil.get_terminal_size().columns, 20)
    return None

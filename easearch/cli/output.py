"""What the verbs print: one JSON document, or lines for a person."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import select
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from easearch.errors import printable
from easearch.table import LEAST_PROSE, cells, folded, wrapped

_HIDDEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""What JSON may hold and a terminal obeys, or nobody sees."""


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    _say(_HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values, the values in one column, folded between words: paths stay whole."""
    rows = [(printable(name), printable(value)) for name, value in rows]
    width = max(cells(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *more = wrapped(value, max(columns() - width, LEAST_PROSE))
        lines.append(f"{name}{' ' * (width - cells(name))}{first}")
        lines += [" " * width + line for line in more]
    _say("\n".join(lines))


def _say(text: str) -> None:
    """Print a result; that nobody reads it does not change the status of the work."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Send to nowhere what is still printed for readers who have gone: `grow 2>&1 | head -2`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            handle = stream.fileno()  # type: ignore[union-attr]
            if _unread(handle):
                os.dup2(nowhere, handle)
    os.close(nowhere)


def _unread(handle: int) -> bool:
    """Whether nobody is left to read what is written there."""
    look = select.poll()
    look.register(handle, select.POLLOUT)
    return any(what & (select.POLLERR | select.POLLHUP) for _, what in look.poll(0))


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


def print_table(rows: Sequence[Sequence[str]], words: int | None = None) -> None:
    """Print a table, its head first, as wide as the terminal (`table.folded`).

    Args:
        rows: the head first, the first column names.
        words: how many columns are text; the rest are numbers. None: all.
    """
    for line in folded([[*map(printable, row)] for row in rows], columns(), words):
        print(line)


def print_prose(text: str) -> None:
    """Print sentences, as wide as the terminal, whole words."""
    for line in wrapped(printable(text), columns()):
        print(line)


def columns() -> int:
    """Columns of the terminal, or those that the environment asks for; 80 in a pipe."""
    return max(shutil.get_terminal_size((80, 24)).columns, 20)

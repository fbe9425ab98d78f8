"""Where measurements live between runs: a folder a host and runtime; writes are atomic.

What is kept is a saving, never a condition: a damaged file is set aside and measured again, and a
folder that cannot be written to costs a warning and the memory of this process.
"""

from __future__ import annotations

import json
import logging
import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_dir

from easearch.errors import FileFormatError, reason_of
from easearch.untrusted import TABLE_BYTES, parse_json, read_text

LOG = logging.getLogger(__name__)
CACHE_VARIABLE = "EASEARCH_CACHE"
MOST_ASIDE = 100
"""Damaged files of one name that are left beside it."""
Value = TypeVar("Value")
_UNWRITTEN: dict[Path, str] = {}
"""What could not be written, for as long as this process lives."""


def cache_folder() -> Path:
    """The user's cache of measurements: `$EASEARCH_CACHE`, else the platform's own place."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("easearch"))


def json_text(content: Any, indent: int | None = 1) -> str:
    """Strict JSON with a line's end: a number that is not finite is null."""
    return json.dumps(_finite(content), indent=indent, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def keep(path: Path, text: str) -> None:
    """Write a file of measurements; where that cannot be done it is kept in memory, with a warning
    for the first of a folder.
    """
    try:
        write_atomic(path, text)
    except OSError as error:
        if not any(other.parent == path.parent for other in _UNWRITTEN):
            LOG.warning(
                "%s cannot be written to (%s): what is measured is kept for this run alone; "
                "make room there, or name another folder in %s",
                path.parent,
                error.strerror or reason_of(error),
                CACHE_VARIABLE,
            )
        _UNWRITTEN[path] = text
    else:
        _UNWRITTEN.pop(path, None)


def kept(path: Path) -> str | None:
    """The text of a file of measurements; None where there is none, or it was set aside."""
    if path in _UNWRITTEN:
        return _UNWRITTEN[path]
    try:
        return read_text(path, TABLE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, FileFormatError) as error:
        set_aside(path, reason_of(error))
        return None


def kept_json(path: Path, read: Callable[[Any], Value]) -> Value | None:
    """What `read` makes of a JSON file of measurements; None where there is none. One that is
    damaged, or of which `read` raises a ValueError, TypeError, KeyError or AttributeError, is set
    aside.
    """
    text = kept(path)
    if text is None:
        return None
    try:
        return read(parse_json(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        set_aside(path, reason_of(error))
        return None


def set_aside(path: Path, why: str) -> None:
    """Rename a damaged file of measurements, so that a sound one can take its place; warn."""
    _UNWRITTEN.pop(path, None)
    names = (path.with_name(f"{path.name}.damaged-{n}") for n in range(1, MOST_ASIDE + 1))
    free = next((name for name in names if not os.path.lexists(name)), None)
    try:
        if free is not None:
            path.rename(free)
    except OSError:
        free = None
    where = f"it is set aside as {free.name}" if free is not None else "it is left as it is"
    LOG.warning("%s is damaged (%s): %s; measuring again", path, why, where)

"""Reading files: regular ones, of bounded size, in UTF-8."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from easearch.errors import FileFormatError
from easearch.untrusted.json_text import parse_json
from easearch.untrusted.yaml_text import parse_yaml

FILE_BYTES = 2**24
"""Of a file, unless its reader says otherwise."""
YAML_BYTES = 2**18
"""Of a YAML file: people write them."""
TABLE_BYTES = 2**26
"""Of a CSV file."""


def read_bytes(path: Path, most: int = FILE_BYTES) -> bytes:
    """The content of a regular file of bounded size.

    Raises:
        FileNotFoundError, OSError: it cannot be opened.
        FileFormatError: it is a pipe, a device or a folder, or larger than `most`.
    """
    if "\0" in str(path):
        raise FileFormatError("expected a path without a zero byte")
    # non-blocking: opening a pipe that nobody writes to would wait for ever
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise FileFormatError(f"expected a regular file, got {_kind(mode)}")
    with os.fdopen(handle, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise FileFormatError(f"expected {most:,} bytes at most, got more")
    return content


def read_text(path: Path, most: int = FILE_BYTES) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark; errors as `read_bytes`."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"expected text in UTF-8, got byte {error.start} of another"
        ) from None


def read_json(path: Path, most: int = FILE_BYTES, *, finite: bool = True) -> Any:
    """The value in a JSON file; errors as `read_bytes` and `parse_json`."""
    return parse_json(read_text(path, most), finite=finite)


def read_yaml(path: Path, most: int = YAML_BYTES) -> Any:
    """The value in a YAML file; errors as `read_bytes` and `parse_yaml`."""
    return parse_yaml(read_text(path, most))


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((told for test, told in kinds.items() if test(mode)), "a device")

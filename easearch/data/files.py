"""Data files of strangers: regular ones alone, and no more of them than was stated."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from pathlib import Path

from easearch.errors import DataError, reason_of

LARGEST = 2**33
"""Bytes of one array or file, unpacked, at most."""

SHARE = 0.5
"""Of the machine's memory, that one array may take."""


def most_bytes() -> int:
    """Bytes that one array may take here: half of the memory, 8 GiB at most."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(LARGEST, int(SHARE * memory))


def check_regular(path: Path) -> None:
    """Refuse what is no regular file: a pipe would wait for ever, a device never ends.

    Raises:
        DataError: another kind of file, or one that cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"'{path}': expected a regular file, got a folder, pipe or device.")


def read_bytes(path: Path, most: int) -> bytes:
    """The first bytes of a file, unpacked if it ends in `.gz`: `most` of them, fewer if it is
    shorter.

    Raises:
        DataError: no regular file, one that cannot be read, or a damaged archive.
    """
    check_regular(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return bytes(file.read(most))
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"'{path}' is damaged ({reason_of(error)}); get it again.") from None

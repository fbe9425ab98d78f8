"""Arrays out of an .npz file, without pickle; what is missing, damaged or too large is said."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from easearch.data.files import check_regular, most_bytes
from easearch.errors import DataError, reason_of

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path, keys: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays `keys` of the file, in that order; others are not looked at.

    Raises `DataError` for a damaged file, or if an array is missing, holds objects (which only
    pickle could read), or states a size that the file does not have or the memory does not hold.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for key in keys:
                _check(path, archive, key)
        # opened here: numpy leaves a damaged file open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[key] for key in keys]
    except KeyError as error:
        wanted = ", ".join(keys)
        raise DataError(f"'{path}': expected the arrays {wanted}, but {error.args[0]}.") from None
    except DataError:
        raise
    except Exception as error:  # a stranger's file: zip, zlib and numpy raise whatever they like
        raise DataError(
            f"'{path}' is damaged, or no archive of arrays ({reason_of(error)}); get it again."
        ) from None


def whole(path: Path, key: str, array: NDArray[Any]) -> None:
    """Refuse an array that is not (N,) of whole numbers, N at least 1.

    Raises:
        DataError: with the array's name, type and shape.
    """
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise DataError(
            f"'{path}': {key}: expected whole numbers (N,), got {array.dtype} {array.shape}."
        )
    if array.dtype.kind == "u" and int(array.max()) >= 2**63:
        raise DataError(f"'{path}': {key}: expected numbers below 2**63, got {array.max()}.")


def _check(path: Path, archive: zipfile.ZipFile, key: str) -> None:
    """Look at one array's header: what it says must fit what is there."""
    names = archive.namelist()
    name = key if key in names else f"{key}.npy"
    info = archive.getinfo(name)
    with archive.open(info) as member:
        shape, dtype = _header(member)
    if dtype.hasobject:
        raise DataError(
            f"'{path}': {key}: expected numbers or text, got objects, which only pickle can read; "
            "save another type."
        )
    stated = math.prod(shape) * dtype.itemsize
    if stated > (most := most_bytes()) or stated > info.file_size:
        raise DataError(
            f"'{path}': {key}: states {stated:,} bytes, and the file has {info.file_size:,} for "
            f"it; expected the same, {most:,} at most."
        )


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(member)
    if version not in HEADERS:
        raise ValueError(f"arrays of format {version}")
    shape, _, dtype = HEADERS[version](member)
    return shape, dtype

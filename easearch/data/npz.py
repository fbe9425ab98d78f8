"""Arrays out of an .npz file, without pickle; what is missing or damaged is said."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easearch.errors import DataError


def read_arrays(path: Path, keys: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays `keys` of the file, in that order; others are not looked at.

    Raises `DataError` if one is missing, or the file is damaged or holds objects, which only pickle
    could read.
    """
    try:
        # opened here: numpy leaves a damaged file open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[key] for key in keys]
    except KeyError as error:
        wanted = ", ".join(keys)
        raise DataError(f"'{path}': expected the arrays {wanted}, but {error.args[0]}.") from None
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"'{path}' is damaged, or no archive of arrays ({error}); get it again."
        ) from None

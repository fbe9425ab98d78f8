"""Archives of JPEG pictures: an .npz with all bytes in one array, the offsets, and the classes."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from easearch.data.images import Images
from easearch.data.npz import read_arrays, whole
from easearch.errors import DataError, reason_of


def read_jpeg_archive(path: Path, part: str) -> Images:
    """Decode the colour pictures of `part`: x (N, 3, H, W), all of the first one's size.

    The archive holds `jpeg_<part>` uint8, `off_<part>` (N + 1,) and `y_<part>` (N,): picture i is
    `jpeg[off[i]:off[i + 1]]`. Raises `DataError` if it is damaged or holds anything else.
    """
    keys = [f"{key}_{part}" for key in ("jpeg", "off", "y")]
    jpeg, offsets, y = read_arrays(path, keys)
    whole(path, keys[1], offsets)
    whole(path, keys[2], y)
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1:
        raise DataError(
            f"'{path}': {keys[0]}: expected uint8 (bytes,), got {jpeg.dtype} {jpeg.shape}."
        )
    try:
        x = _decoded(jpeg, offsets.astype(np.int64), len(y))
        return Images(x=x, y=torch.from_numpy(y.astype(np.int64)))
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"'{path}' is damaged or no archive of JPEG pictures ({reason_of(error)}); get it "
            "again."
        ) from None


def _decoded(jpeg: NDArray[np.uint8], offsets: NDArray[np.int64], number: int) -> torch.Tensor:
    if len(offsets) != number + 1 or offsets[0] < 0 or offsets[-1] > len(jpeg):
        raise ValueError(f"{len(offsets)} offsets for {number} pictures in {len(jpeg)} bytes")
    if (np.diff(offsets) <= 0).any():
        raise ValueError("its offsets do not increase")
    content = jpeg.tobytes()
    pictures: NDArray[np.uint8] | None = None
    for index, (start, end) in enumerate(itertools.pairwise(offsets.tolist())):
        picture = Image.open(io.BytesIO(content[start:end]), formats=("JPEG",)).convert("RGB")
        if pictures is None:
            pictures = np.empty((number, picture.height, picture.width, 3), dtype=np.uint8)
        pictures[index] = np.asarray(picture)
    if pictures is None:
        raise ValueError("it holds no picture")
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()

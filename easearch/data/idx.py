"""IDX files, the format of MNIST and its kin: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from easearch.data.images import Images
from easearch.errors import DataError

UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """The file `name` or `name.gz` in `folder`, or None."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def file_names(part: str) -> tuple[str, str]:
    """The names of the pictures and the labels of `part`, "train" or "t10k"."""
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def read_images(folder: Path, part: str) -> Images:
    """Read the pictures and labels of `part` from `folder`: x (N, 1, H, W).

    Raises `DataError` for a file that is missing, damaged, or not an IDX file of bytes.
    """
    tensors = []
    for name, axes in zip(file_names(part), (3, 1), strict=True):
        path = find(folder, name)
        if path is None:
            raise DataError(f"expected '{name}' or '{name}.gz' in '{folder}', found neither.")
        tensors.append(read_idx(path, axes))
    return Images(x=tensors[0].unsqueeze(1), y=tensors[1].long())


def read_idx(path: Path, axes: int) -> Tensor:
    """Read an IDX file of unsigned bytes with so many axes, gzipped if it ends in `.gz`."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, count = struct.unpack_from(">HBB", content)
        sizes = struct.unpack_from(f">{count}I", content, 4)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"'{path}' is damaged ({error}); get it again.") from None
    if (zero, kind, count) != (0, UNSIGNED_BYTE, axes):
        raise DataError(f"'{path}': expected an IDX file of bytes with {axes} axes, got another.")
    start, expected = 4 + 4 * axes, math.prod(sizes)
    if expected == 0 or len(content) - start != expected:
        raise DataError(
            f"'{path}': expected {expected} bytes for the sizes {sizes}, "
            f"got {len(content) - start}; get it again."
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(sizes)

"""IDX files, the format of MNIST and its kin: a magic number, the sizes, then bytes."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import torch
from torch import Tensor

from easearch.data.files import most_bytes, read_bytes
from easearch.data.images import Images
from easearch.errors import DataError

UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """What is called `name` or `name.gz` in `folder`, or None."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)


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
    if len(tensors[0]) != len(tensors[1]):
        raise DataError(
            f"'{folder}': expected a label a picture in the files of '{part}', got "
            f"{len(tensors[0]):,} pictures and {len(tensors[1]):,} labels; get them again."
        )
    return Images(x=tensors[0].unsqueeze(1), y=tensors[1].long())


def read_idx(path: Path, axes: int) -> Tensor:
    """Read an IDX file of unsigned bytes with so many axes, gzipped if it ends in `.gz`.

    No more is unpacked than its own sizes state. Raises `DataError` for a damaged or another file.
    """
    start = 4 + 4 * axes
    head = read_bytes(path, start)
    if len(head) < start or struct.unpack_from(">HBB", head) != (0, UNSIGNED_BYTE, axes):
        raise DataError(f"'{path}': expected an IDX file of bytes with {axes} axes, got another.")
    sizes = struct.unpack_from(f">{axes}I", head, 4)
    expected = math.prod(sizes)
    if not 0 < expected <= (most := most_bytes()):
        raise DataError(
            f"'{path}': expected 1 to {most:,} bytes, got the sizes {sizes}; get it again."
        )
    content = read_bytes(path, start + expected + 1)
    if len(content) - start != expected:
        got = f"{len(content) - start:,}" if len(content) - start < expected else "more"
        raise DataError(
            f"'{path}': expected {expected:,} bytes for the sizes {sizes}, got {got}; get it again."
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(sizes)

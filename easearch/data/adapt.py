"""Pictures of another size or number of channels than the data set has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from easearch.data.files import most_bytes
from easearch.data.images import Images
from easearch.errors import DataError

CHUNK = 4096
"""Pictures turned to float at a time: bounds the memory, not the result."""

LARGEST = 4096
"""Pixels a side at most."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, ITU-R BT.601."""


def adapt(images: Images, *, size: int | None, channels: int | None) -> Images:
    """Resize to `size` x `size` pixels and to `channels` (1 grey, 3 colour); None leaves as it is.

    Bilinear with antialiasing, rounded to bytes; a picture that is not square is cropped to its
    middle. Raises `DataError` for other channels, or a size below 1.
    """
    check_picture(size=size, channels=channels)
    x = images.x
    if size is not None and tuple(x.shape[2:]) != (size, size):
        check_memory(len(images), x.shape[1], size)
        x = torch.cat([_resized(_middle(part), size) for part in _chunks(x)])
    if channels is not None and channels != x.shape[1]:
        x = x.expand(-1, 3, -1, -1).contiguous() if channels == 3 else _grey(x)
    return Images(x=x, y=images.y)


def check_picture(*, size: int | None, channels: int | None) -> None:
    """Refuse a size outside 1 to 4,096, channels other than 1 and 3; None is always right."""
    if size is not None and not 1 <= size <= LARGEST:
        raise DataError(f"size: expected pixels a side, 1 to {LARGEST:,}, got {size!r}.")
    if channels not in (None, 1, 3):
        raise DataError(f"channels: expected 1 (grey) or 3 (colour), got {channels!r}.")


def check_memory(count: int, channels: int, size: int) -> None:
    """Refuse pictures that take more than `most_bytes`, a byte a pixel and channel."""
    most, needed = most_bytes(), count * channels * size * size
    if needed > most:
        raise DataError(
            f"size: {count:,} pictures of {size}x{size} pixels take {needed / 1e9:,.1f} GB of "
            f"memory, expected {most / 1e9:,.1f} GB at most; say a smaller size, or bring fewer."
        )


def _chunks(x: Tensor) -> list[Tensor]:
    return [x[start : start + CHUNK] for start in range(0, max(len(x), 1), CHUNK)]


def _middle(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x[:, :, top : top + side, left : left + side]


def _resized(x: Tensor, size: int) -> Tensor:
    y = F.interpolate(x.float(), size=(size, size), mode="bilinear", antialias=True)
    return y.round().clamp(0, 255).to(torch.uint8)


def _grey(x: Tensor) -> Tensor:
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    parts = [(part * weights).sum(1, keepdim=True).round() for part in _chunks(x)]
    return torch.cat(parts).to(torch.uint8)

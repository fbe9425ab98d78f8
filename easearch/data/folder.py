"""A folder of your own pictures: a folder a class, with or without a test part of its own.

`root/train/<class>/*.png` and `root/test/<class>/*.png`; or `root/<class>/*.png`, where a fifth of
every class is held out as test part: always the same fifth, so that runs with other seeds meet the
same test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from easearch.data.adapt import check_picture
from easearch.data.images import Images, split
from easearch.data.loading import Parts, Request, missing
from easearch.errors import DataError

SIZE = 64
"""Pixels a side, where the request names none."""

CHANNELS = 3
"""Colour, where the request says nothing else."""

HELD_OUT = 0.2
"""The share of every class that becomes the test part, where the folder has none."""

HELD_OUT_SEED = 0

SUFFIXES = (".png", ".jpg", ".jpeg")

LICENCE = "that of your own pictures"


def load_folder(request: Request) -> Parts:
    """Read the pictures under the root, cropped to their middle square and resized to `size`.

    Raises `DataError` for fewer than two classes, a class without pictures, or a picture that
    cannot be read.
    """
    check_picture(size=request.size, channels=request.channels)
    size, channels = request.size or SIZE, request.channels or CHANNELS
    parted = (request.root / "train").is_dir()
    train_folder = request.root / "train" if parted else request.root
    classes = _classes(train_folder, request.root)
    train = _read(train_folder, classes, size, channels)
    if parted:
        test_folder = request.root / "test"
        _same_classes(classes, test_folder)
        test = _read(test_folder, classes, size, channels)
    else:
        train, test = split(train, HELD_OUT, seed=HELD_OUT_SEED)
    return Parts(train=train, test=test, classes=classes, licence=LICENCE)


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _classes(folder: Path, root: Path) -> tuple[str, ...]:
    names = _folders(folder)
    if len(names) < 2:
        expected = "'train/<class>/*.png' and 'test/<class>/*.png', or '<class>/*.png', two classes"
        raise missing("folder", f"{expected} or more,", root, "Set root to the pictures' folder.")
    return tuple(names)


def _same_classes(classes: tuple[str, ...], folder: Path) -> None:
    names = _folders(folder)
    if tuple(names) != classes:
        raise DataError(
            f"folder: expected the classes {', '.join(classes)} in '{folder}', as in train, "
            f"got {', '.join(names) or 'none'}."
        )


def _read(folder: Path, classes: Sequence[str], size: int, channels: int) -> Images:
    pictures, labels = [], []
    for label, name in enumerate(classes):
        paths = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise DataError(
                f"folder: expected .png or .jpg pictures in '{folder / name}', got none."
            )
        pictures += [_picture(path, size, channels) for path in paths]
        labels += [label] * len(paths)
    return Images(x=torch.stack(pictures), y=torch.tensor(labels, dtype=torch.int64))


def _picture(path: Path, size: int, channels: int) -> torch.Tensor:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            if opened.mode[0] in "IF":
                raise DataError(f"'{path}': expected 8 bits a channel, got mode {opened.mode}.")
            upright = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"'{path}' cannot be read as a picture ({error}).") from None
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    # cropped before: Pillow's resize with a box lets the pixels around the box in
    middle = upright.crop((left, top, left + side, top + side))
    square = middle.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).view(size, size, channels).permute(2, 0, 1)

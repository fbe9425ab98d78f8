"""Data sets: bytes in memory, cut into train, validation and test, and batches of them.

A new data set is one file with a `Loader`, and one line in `DATASETS`.
"""

from __future__ import annotations

import os
from pathlib import Path

from easearch.data.adapt import adapt, check_picture
from easearch.data.balance import remarks
from easearch.data.batches import Augment, Batches
from easearch.data.cifar import load_cifar10, load_cifar100
from easearch.data.fashion_mnist import load_fashion_mnist
from easearch.data.fashion_mnist_mini import load_fashion_mnist_mini
from easearch.data.folder import load_folder
from easearch.data.images import Dataset, Images, sample, split, statistics
from easearch.data.loading import Loader, Parts, Request
from easearch.data.spoken_digits import load_spoken_digits
from easearch.errors import DataError, nearest

__all__ = [
    "DATASETS",
    "Augment",
    "Batches",
    "Dataset",
    "Images",
    "Loader",
    "Parts",
    "Request",
    "load",
    "split",
]

DATASETS: dict[str, Loader] = {
    "fashion-mnist-mini": load_fashion_mnist_mini,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "spoken-digits": load_spoken_digits,
    "folder": load_folder,
}

ROOT_VARIABLE = "EASEARCH_DATA"
"""The environment variable that names the folder of the data, where a call names none."""


def load(
    name: str,
    *,
    root: str | Path | None = None,
    validation: float = 0.1,
    seed: int = 0,
    download: bool = False,
    size: int | None = None,
    channels: int | None = None,
    images: int | None = None,
    skip_corrupt: bool = False,
) -> Dataset:
    """Load the data set `name`; `validation` of every class is cut off train, chosen by `seed`.

    Data that bring a validation part of their own keep it: nothing is cut then.

    `root` is the folder of the data: by default $EASEARCH_DATA, else `data`. `size` (pixels a side)
    and `channels` (1 grey, 3 colour) change the pictures; None leaves them as they are. With
    `images` there are no more training pictures than these, `validation` included: the same ones
    for every `seed`. `skip_corrupt` leaves out pictures of a folder that cannot be read, a tenth of
    them at most, and says so in `notes`. Raises `DataError` for an unknown name, for missing or
    damaged files, for more pictures than there are, or for a class of which a part would get none.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set '{name}': {nearest(name, DATASETS)}")
    check_picture(size=size, channels=channels)
    folder = Path(root if root is not None else os.environ.get(ROOT_VARIABLE, "data"))
    request = Request(
        root=folder, size=size, channels=channels, download=download, skip_corrupt=skip_corrupt
    )
    parts = DATASETS[name](request)
    known = parts.train if images is None else sample(parts.train, images)
    train = adapt(known, size=size, channels=channels)
    if parts.validation is None:
        train, held_out = split(train, validation, seed=seed, classes=parts.classes)
    else:
        held_out = adapt(parts.validation, size=size, channels=channels)
    mean, std = statistics(train)
    return Dataset(
        name=name,
        train=train,
        validation=held_out,
        test=adapt(parts.test, size=size, channels=channels),
        classes=parts.classes,
        mean=mean,
        std=std,
        licence=parts.licence,
        notes=(*parts.notes, *remarks(train, held_out, parts.classes)),
    )

"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour pictures, 32x32, 10 or 100 classes.

[Krizhevsky2009] A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical
report, University of Toronto, 2009. Its authors state no licence.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from easearch.data._torchvision import torchvision
from easearch.data.images import Images
from easearch.data.jpeg import read_jpeg_archive
from easearch.data.loading import Parts, Request, missing
from easearch.errors import DataError, reason_of

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

LICENCE = "none stated by the authors; cite [Krizhevsky2009]"

ARCHIVE = "cifar10.npz"
"""CIFAR-10 as JPEG bytes: accuracies near, not equal to, those on the original pixels."""

FOLDERS = {"CIFAR10": "cifar-10-batches-py", "CIFAR100": "cifar-100-python"}
"""torchvision's class, and the folder that it reads under the root."""


def load_cifar10(request: Request) -> Parts:
    """Read torchvision's folder if the root has it, else the archive of JPEGs, `cifar10.npz`."""
    archive = request.root / ARCHIVE
    if archive.is_file() and not (request.root / FOLDERS["CIFAR10"]).is_dir():
        train, test = (read_jpeg_archive(archive, part) for part in ("train", "test"))
        return Parts(train=train, test=test, classes=CLASSES, licence=LICENCE)
    return _from_torchvision("cifar10", "CIFAR10", request, also=f" or '{ARCHIVE}'")


def load_cifar100(request: Request) -> Parts:
    """Read torchvision's folder under the root; the classes are the 100 fine ones."""
    return _from_torchvision("cifar100", "CIFAR100", request, also="")


def _from_torchvision(name: str, kind: str, request: Request, *, also: str) -> Parts:
    folder = FOLDERS[kind]
    if not (request.download or (request.root / folder).is_dir()):
        remedy = "Put it there, or allow download=True."
        raise missing(name, f"torchvision's folder '{folder}'{also}", request.root, remedy)
    read = functools.partial(_read, kind, request.root, request.download)
    train, test = read(train=True), read(train=False)
    return Parts(
        train=_images(train), test=_images(test), classes=tuple(train.classes), licence=LICENCE
    )


def _read(kind: str, root: Path, download: bool, *, train: bool) -> Any:
    try:
        # torchvision compares checksums before it unpickles, and refuses what is not the original
        return getattr(torchvision("datasets"), kind)(root, train=train, download=download)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{kind}: '{root / FOLDERS[kind]}' is incomplete, or not the original "
            f"({reason_of(error)}); remove it and allow download=True."
        ) from None


def _images(source: Any) -> Images:
    x = torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous()
    return Images(x=x, y=torch.tensor(source.targets, dtype=torch.int64))

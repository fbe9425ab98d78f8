"""Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28x28 grey, 10 classes (MIT).

[Xiao2017] H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms, arXiv:1708.07747, 2017.
"""

from __future__ import annotations

from pathlib import Path

from easearch.data import idx
from easearch.data._torchvision import torchvision
from easearch.data.loading import Parts, Request, missing
from easearch.errors import DataError, reason_of

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

LICENCE = "MIT, Copyright (c) 2017 Zalando SE"

FOLDERS = ("", "fashion-mnist", "FashionMNIST/raw")
"""Where the files may lie under the root; the last is torchvision's place."""

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files; looked at after the root."""


def load_fashion_mnist(request: Request) -> Parts:
    """Read the IDX files, gzipped or not, from the root or Debian's folder, or download them."""
    folder = _folder(request.root)
    if folder is None and request.download:
        _download(request.root)
        folder = _folder(request.root)
    if folder is None:
        raise missing(
            "fashion-mnist",
            f"'{idx.file_names('train')[0]}' (or .gz) and its three companions",
            request.root,
            "Install the Debian package dataset-fashion-mnist, or allow download=True.",
        )
    train, test = idx.read_images(folder, "train"), idx.read_images(folder, "t10k")
    return Parts(train=train, test=test, classes=CLASSES, licence=LICENCE)


def _folder(root: Path) -> Path | None:
    names = [*idx.file_names("train"), *idx.file_names("t10k")]
    for folder in (*(root / below for below in FOLDERS), DEBIAN_FOLDER):
        if all(idx.find(folder, name) for name in names):
            return folder
    return None


def _download(root: Path) -> None:
    try:
        torchvision("datasets").FashionMNIST(root, download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"fashion-mnist: the download to '{root}' failed ({reason_of(error)}); try again, or "
            "install the Debian package dataset-fashion-mnist."
        ) from None

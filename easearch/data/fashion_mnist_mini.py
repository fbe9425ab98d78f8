"""Fashion-MNIST in small, inside the package: 10,000 + 2,000 pictures, classes balanced (MIT).

`reports/data/make_embedded.py` made it; the licence notice lies beside it. Accuracies on its test
part are not those of Fashion-MNIST.
"""

from __future__ import annotations

import io
import lzma
from importlib import resources

import numpy as np
import torch

from easearch.data.fashion_mnist import CLASSES, LICENCE
from easearch.data.images import Images
from easearch.data.loading import Parts, Request
from easearch.errors import DataError, reason_of

FILE = "fashion-mnist-mini.npz.xz"


def load_fashion_mnist_mini(request: Request) -> Parts:
    """Read the embedded pictures; the root is not looked at, and nothing is downloaded."""
    packed = resources.files("easearch.data") / "embedded" / FILE
    try:
        unpacked = io.BytesIO(lzma.decompress(packed.read_bytes()))
    except (OSError, lzma.LZMAError) as error:
        raise DataError(
            f"the embedded '{FILE}' is missing or damaged ({reason_of(error)}); install "
            "easearch again."
        ) from None
    with np.load(unpacked, allow_pickle=False) as arrays:
        train, test = (_images(arrays[f"x_{p}"], arrays[f"y_{p}"]) for p in ("train", "test"))
    return Parts(train=train, test=test, classes=CLASSES, licence=LICENCE)


def _images(x: np.ndarray, y: np.ndarray) -> Images:
    return Images(x=torch.from_numpy(x).unsqueeze(1), y=torch.from_numpy(y).long())

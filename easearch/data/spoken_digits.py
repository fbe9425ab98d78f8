"""Spoken digits as pictures: 3,000 words, 32 mel bands x 40 frames, 10 classes, 6 speakers.

They are the recordings of the Free Spoken Digit Dataset [Jackson2018], CC-BY-SA-4.0. The test part
is one speaker whom training never hears, the validation part is cut from the other five: expect it
to look better than the test.

The file holds bytes, and they stay as they are: logarithms of the mel energies, row 0 the lowest
band, the word in the middle of the frames; 255 is the word's own loudest value, 0 is silence.

[Jackson2018] Z. Jackson et al., Free Spoken Digit Dataset,
https://github.com/Jakobovski/free-spoken-digit-dataset, 2016-2020.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from easearch.data.images import Images
from easearch.data.loading import Parts, Request, missing
from easearch.data.npz import read_arrays
from easearch.errors import DataError

FILE = "fsdd_logmel.npz"

SHAPE = (32, 40)
"""Mel bands, frames."""

UNSEEN = "theo"
"""The speaker of the test part."""

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

LICENCE = "CC-BY-SA-4.0, Free Spoken Digit Dataset [Jackson2018]"

LAYOUT = "x uint8 (N, 32, 40), y (N,) the digits, speaker (N,) their names"

REMEDY = (
    "Make it from the Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset, "
    f"CC-BY-SA-4.0) by numpy.savez, log-mel pictures of its recordings: {LAYOUT}."
)


def load_spoken_digits(request: Request) -> Parts:
    """Read `fsdd_logmel.npz` under the root: `x`, `y` and `speaker`; nothing is downloaded.

    Raises `DataError` if it is missing or damaged, for other shapes and types, and where the unseen
    speaker or all others are missing.
    """
    path = request.root / FILE
    if not path.is_file():
        raise missing("spoken-digits", f"'{FILE}'", request.root, REMEDY)
    x, y, speaker = read_arrays(path, ("x", "y", "speaker"))
    _check(path, x, y, speaker)
    unseen = torch.from_numpy(speaker == UNSEEN)
    words = Images(x=torch.from_numpy(x).unsqueeze(1), y=torch.from_numpy(y.astype(np.int64)))
    train, test = (words.take(chosen.nonzero().squeeze(1)) for chosen in (~unseen, unseen))
    if not len(train) or not len(test):
        raise DataError(
            f"'{path}': expected the speaker '{UNSEEN}', who is the test part, and others, "
            f"got {', '.join(sorted(set(speaker.tolist()))) or 'none'}."
        )
    return Parts(train=train, test=test, classes=CLASSES, licence=LICENCE)


def _check(path: Path, x: NDArray[Any], y: NDArray[Any], speaker: NDArray[Any]) -> None:
    kinds = x.dtype == np.uint8 and y.dtype.kind in "iu" and speaker.dtype.kind == "U"
    shapes = x.shape[1:] == SHAPE and x.shape[:1] == y.shape == speaker.shape
    if not kinds or not shapes:
        arrays = {"x": x, "y": y, "speaker": speaker}
        got = ", ".join(f"{name} {one.dtype} {one.shape}" for name, one in arrays.items())
        raise DataError(f"'{path}': expected {LAYOUT}, got {got}.")

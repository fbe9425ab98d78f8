"""Spoken digits: the unseen speaker is the test, bytes stay bytes, and what is wrong is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easearch.data import Augment, Batches, load
from easearch.data.spoken_digits import CLASSES, FILE, UNSEEN
from easearch.errors import DataError

SPEAKERS = ("ada", UNSEEN, "grace")
EACH = 4
"""Recordings of every digit by every speaker."""


def words(**changes: Any) -> dict[str, np.ndarray]:
    """The arrays of a small file: pictures of noise, in another order than by speaker or digit."""
    rng = np.random.default_rng(0)
    number = EACH * len(SPEAKERS) * 10
    order = rng.permutation(number)
    arrays = {
        "x": rng.integers(256, size=(number, 32, 40), dtype=np.uint8),
        "y": (order % 10).astype(np.uint8),
        "speaker": np.array(SPEAKERS)[order // 10 % len(SPEAKERS)],
        "index": order // (10 * len(SPEAKERS)),
    }
    return {**arrays, **changes}


def write(folder: Path, **changes: Any) -> dict[str, np.ndarray]:
    arrays = words(**changes)
    np.savez(folder / FILE, **arrays)
    return arrays


def test_the_unseen_speaker_is_the_test_and_nothing_else(tmp_path):
    arrays = write(tmp_path)
    heard = arrays["speaker"] != UNSEEN
    data = load("spoken-digits", root=tmp_path, validation=0)
    assert (data.shape, data.classes, len(data.validation)) == ((1, 32, 40), CLASSES, 0)
    for part, mask in ((data.train, heard), (data.test, ~heard)):
        assert torch.equal(part.x.squeeze(1), torch.from_numpy(arrays["x"][mask]))
        assert part.y.tolist() == arrays["y"][mask].tolist()


def test_validation_is_cut_from_the_speakers_of_train(tmp_path):
    write(tmp_path)
    first, other = (load("spoken-digits", root=tmp_path, validation=0.25, seed=s) for s in (0, 1))
    assert (len(first.train), len(first.validation), len(first.test)) == (60, 20, 40)
    assert torch.equal(first.test.x, other.test.x)
    assert not torch.equal(first.validation.x, other.validation.x)


def test_words_are_shifted_and_not_mirrored(tmp_path):
    """Pictures that are not square pass the augmentation; with `flip` off time keeps its way."""
    write(tmp_path)
    data = load("spoken-digits", root=tmp_path)
    pad, rows = 2, 32
    batches = Batches(data.train, data.mean, data.std, 8, augment=Augment(pad=pad, flip=False))
    seen = next(iter(batches))[0]
    assert seen.shape == (8, 1, 32, 40)
    pixels = (seen * data.std[0] + data.mean[0]).mul(255).round().to(torch.uint8)
    for shown, picture in zip(pixels[:, 0], data.train.x[:8, 0], strict=True):
        inside = shown[pad : rows - pad, pad : 40 - pad]
        windows = picture.unfold(0, rows - 2 * pad, 1).unfold(1, 40 - 2 * pad, 1)
        assert (windows == inside).flatten(2).all(2).sum() == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": np.zeros((120, 40, 32), np.uint8)}, r"got x uint8 \(120, 40, 32\)"),
        ({"x": np.zeros((120, 32, 40), np.float32)}, r"got x float32"),
        ({"x": np.zeros((120, 32 * 40), np.uint8)}, r"got x uint8 \(120, 1280\)"),
        ({"x": np.zeros((), np.uint8)}, r"got x uint8 \(\)"),
        ({"y": np.zeros(119, np.uint8)}, r"y uint8 \(119,\)"),
        ({"y": np.zeros(120)}, "y float64"),
        ({"y": np.full(120, 10)}, "expected classes 0 to 9 in the .* part, got 10"),
        ({"speaker": np.zeros(120, np.int64)}, "speaker int64"),
        ({"speaker": np.array(["ada"] * 120)}, f"expected the speaker '{UNSEEN}'.*got ada"),
        ({"speaker": np.array([UNSEEN] * 120)}, f"and others, got {UNSEEN}"),
        ({"speaker": np.array([{"a": 1}] * 120, object)}, "only pickle can read"),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, said):
    write(tmp_path, **changes)
    with pytest.raises(DataError, match=said):
        load("spoken-digits", root=tmp_path)


@pytest.mark.parametrize("key", ["x", "y", "speaker"])
def test_a_missing_array_is_named(tmp_path, key):
    arrays = words()
    del arrays[key]
    np.savez(tmp_path / FILE, **arrays)
    with pytest.raises(DataError, match=f"expected the arrays x, y, speaker, but .*{key}"):
        load("spoken-digits", root=tmp_path)


@pytest.mark.parametrize("harm", ["empty", "cut", "no zip", "one array"])
def test_a_damaged_file_is_named(tmp_path, harm):
    write(tmp_path)
    path = tmp_path / FILE
    content = path.read_bytes()
    if harm == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes({"empty": b"", "cut": content[:-99], "no zip": b"no such thing"}[harm])
    with pytest.raises(DataError, match=rf"{FILE}' is damaged"):
        load("spoken-digits", root=tmp_path)


def test_a_missing_file_says_what_to_make_and_from_what(tmp_path):
    with pytest.raises(DataError, match="Free Spoken Digit Dataset") as error:
        load("spoken-digits", root=tmp_path)
    for word in (FILE, str(tmp_path), "CC-BY-SA-4.0", "x uint8 (N, 32, 40)", "speaker"):
        assert word in str(error.value)


def test_the_real_file_has_its_counts():
    if "EASEARCH_DATA" not in os.environ:
        pytest.skip("EASEARCH_DATA names no folder with the spoken digits")
    if not (Path(os.environ["EASEARCH_DATA"]) / FILE).is_file():
        pytest.skip(f"EASEARCH_DATA has no '{FILE}'")
    data = load("spoken-digits")
    for part, each in ((data.train, 225), (data.validation, 25), (data.test, 50)):
        assert torch.bincount(part.y).tolist() == [each] * 10
    assert (data.shape, data.num_classes) == ((1, 32, 40), 10)
    # no part is black, none is cut off at the bright end: the loudest value of every word is 255
    assert (data.train.x.flatten(1).amax(1) == 255).all()
    assert data.mean == pytest.approx((0.222,), abs=0.01)

"""Bad data, a row each: folders, archives and requests are refused in one sentence."""

from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "data"))

from data_examples import jpeg_archive, some_images, write_class_folders, write_idx_folder

from easearch.data import load
from easearch.errors import DataError
from refusals.refused import raised, refused

BITMAP = struct.pack("<IHHIIiiHH", 0, 0, 0, 54, 40, 50_000, 50_000, 1, 1)
"""Of 2,500 million pixels."""
ESCAPE = "\x1b[31m"


def folder(root: Path) -> Path:
    write_class_folders(root / "train", some_images(60))
    write_class_folders(root / "test", some_images(30, seed=1))
    return root


def sub(*parts: str) -> Callable[[Path], None]:
    return lambda root: (root.joinpath(*parts)).mkdir(parents=True)


def file(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda root: (root / name).write_bytes(content)


def gone(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def only_train(root: Path) -> None:
    gone(root)
    write_class_folders(root / "train", some_images(4), names=("cat",) * 3)


def moved(old: str, new: str) -> Callable[[Path], Any]:
    def move(root: Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)

    return move


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (lambda root: (gone(root), root.rmdir()), "no such folder"),
    "empty": (gone, "found no folder"),
    "a file in its place": (
        lambda root: (gone(root), root.rmdir(), root.write_text("x")),
        "no such folder",
    ),
    "one class": (only_train, "found the folder 'cat' alone"),
    "no train": (moved("train", "other"), "test' is a part by its name"),
    "one too high": (moved("train", "set/train"), "part by its name|meant"),
    "two parts of a kind": (lambda root: (sub("val")(root), sub("Valid")(root)), "keep one"),
    "an empty class": (sub("train", "fox"), "got none of 'fox'"),
    "a class of text": (
        lambda root: (sub("train", "fox")(root), file("train/fox/a.heic", b"x")(root)),
        "none of 'fox'.*1 .heic",
    ),
    "a class that test lacks": (moved("test/cat", "rest"), "without 'cat'"),
    "a class that train lacks": (moved("train/cat", "rest"), "with 'cat'"),
    "nested": (moved("train/cat/000.png", "train/cat/in/000.png"), "right in the folder.*cat/in"),
    "nested deep": (moved("train/cat/000.png", "train/cat/a/b/c/0.PNG"), "right in the folder"),
    "a name with codes": (moved("train/cat", f"train/{ESCAPE}cat"), "printable"),
    "a name of two lines": (moved("train/cat", "train/c\nat"), "printable"),
    "a text": (file("train/cat/a.jpg", b"text"), "cat/a.jpg' .it is no picture"),
    "nothing": (file("train/cat/a.jpg", b""), "it is empty"),
    "half a header": (file("train/cat/a.png", b"\x89PNG\r\n\x1a\n\0\0"), "1 of 91 pictures"),
    "a pipe": (lambda root: os.mkfifo(root / "train/cat/a.png"), "no regular file"),
    "a device": (
        lambda root: (root / "train/cat/a.png").symlink_to("/dev/zero"),
        "no regular file",
    ),
    "a broken link": (lambda root: (root / "test/cat/a.png").symlink_to("gone"), "a broken link"),
    "a link to itself": (
        lambda root: (root / "test/cat/a.png").symlink_to("a.png"),
        "a broken link",
    ),
    "a page of a server": (file("train/cat/a.gif", b"<html>404"), "no picture"),
    "a bomb of pixels": (
        file(
            "train/cat/a.bmp",
            b"BM" + BITMAP + bytes(24),
        ),
        "pixels",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_no_good(name: str, tmp_path: Path) -> None:
    harm, says = FOLDERS[name]
    root = folder(tmp_path / "data")
    harm(root)
    raised(lambda: load("folder", root=root, size=8), says, kind=DataError)


REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "no validation": ({"validation": 0.0001}, "takes none of the pictures of 'cat'"),
    "all validation": ({"validation": 0.99}, "takes all of the pictures of 'cat'"),
    "a share below 0": ({"validation": -0.1}, "fraction"),
    "a share that is none": ({"validation": float("nan")}, "fraction"),
    "huge pictures": ({"size": 100_000}, "1 to 4,096"),
    "no pixels": ({"size": 0}, "1 to 4,096"),
    "two channels": ({"channels": 2}, "1 .grey. or 3"),
    "more pictures than there are": ({"images": 1000}, "all that there are"),
    "fewer than classes": ({"images": 2}, "one a class"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_cannot_be_met(name: str, tmp_path: Path) -> None:
    asked, says = REQUESTS[name]
    root = folder(tmp_path)
    raised(lambda: load("folder", root=root, **{"size": 8, **asked}), says, kind=DataError)


def words(**changes: Any) -> dict[str, Any]:
    speaker = np.array(["theo", "ada"] * 30)
    arrays = {"x": np.zeros((60, 32, 40), np.uint8), "y": np.arange(60) // 2 % 10}
    return {**arrays, "speaker": speaker, **changes}


def lying(shape: tuple[int, ...]) -> bytes:
    """An array whose header states more than there is."""
    stream = io.BytesIO()
    said = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, said)
    return stream.getvalue() + bytes(100)


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "one class": ({"y": np.zeros(60, int)}, "two classes or more, got all of 'zero'"),
    "a label above": ({"y": np.full(60, 10)}, "classes 0 to 9 in the .* part, got 10"),
    "a label below": ({"y": np.where(np.arange(60) < 30, -1, 1)}, "got -1"),
    "labels of floats": ({"y": np.full(60, 0.5)}, "y float64"),
    "float pictures": ({"x": np.zeros((60, 32, 40), np.float32)}, "x float32"),
    "other sizes": ({"x": np.zeros((60, 16, 16), np.uint8)}, "16, 16"),
    "fewer labels": ({"y": np.zeros(59, int)}, "59"),
    "objects": ({"y": np.array([{}] * 60, object)}, "only pickle can read"),
    "no speaker": ({"speaker": np.zeros(60)}, "speaker float64"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_archive_of_arrays_that_is_no_good(name: str, tmp_path: Path) -> None:
    changes, says = ARRAYS[name]
    np.savez(tmp_path / "fsdd_logmel.npz", **words(**changes))
    raised(lambda: load("spoken-digits", root=tmp_path), says, kind=DataError)


@pytest.mark.parametrize("shape", [(2**40,), (60, 2**20, 2**20), (10_000_000,)])
def test_an_array_that_states_more_than_there_is(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "fsdd_logmel.npz", y=np.zeros(60), speaker=np.array(["a"]))
    with zipfile.ZipFile(tmp_path / "fsdd_logmel.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", lying(shape))
    raised(lambda: load("spoken-digits", root=tmp_path), "states .* bytes", kind=DataError)


@pytest.mark.parametrize("harm", ["cut", "text", "empty", "swapped bytes"])
def test_a_damaged_archive(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "fsdd_logmel.npz"
    np.savez_compressed(path, **words())
    whole = bytearray(path.read_bytes())
    if harm == "swapped bytes":
        whole[60:90] = bytes(30)
    kept = {"cut": whole[:-50], "text": b"text", "empty": b"", "swapped bytes": whole}[harm]
    path.write_bytes(kept)
    raised(lambda: load("spoken-digits", root=tmp_path), "fsdd_logmel.npz", kind=DataError)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("y_train", np.full(60, 0.5)),
        ("y_train", np.zeros(60, int)),
        ("y_train", np.full(60, 99)),
        ("off_train", np.full(61, 0)),
        ("off_train", np.linspace(0, 1, 61)),
        ("jpeg_train", np.zeros(9, np.int64)),
    ],
)
def test_an_archive_of_jpegs_that_is_no_good(key: str, value: Any, tmp_path: Path) -> None:
    images = some_images(60, channels=3)
    jpeg_archive(tmp_path / "cifar10.npz", train=images, test=images)
    arrays = {**np.load(tmp_path / "cifar10.npz"), key: value}
    np.savez(tmp_path / "cifar10.npz", **arrays)
    raised(lambda: load("cifar10", root=tmp_path), kind=DataError)


IDX = "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("bomb", "got more"),
        ("sizes", "got the sizes"),
        ("cut", "is damaged|expected"),
        ("pipe", "regular file"),
        ("folder", "regular file"),
        ("no gzip", "is damaged"),
        ("labels", "a label a picture"),
        ("class", "two classes"),
        ("out of range", "got 77"),
    ],
)
def test_idx_files_that_are_no_good(harm: str, says: str, tmp_path: Path) -> None:
    images = some_images(60)
    write_idx_folder(tmp_path / "fashion-mnist", images, images, ".gz")
    path = tmp_path / "fashion-mnist" / f"{IDX}.gz"
    labels = path.with_name("train-labels-idx1-ubyte.gz")
    head = struct.pack(">HBBIII", 0, 8, 3, 60, 8, 8)
    if harm == "bomb":
        path.write_bytes(gzip.compress(head + bytes(2**26), 1))
    elif harm == "sizes":
        path.write_bytes(gzip.compress(struct.pack(">HBBIII", 0, 8, 3, *[2**32 - 1] * 3)))
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif harm in ("pipe", "folder"):
        path.unlink()
        os.mkfifo(path) if harm == "pipe" else path.mkdir()
    elif harm == "no gzip":
        path.write_bytes(b"no gzip")
    else:
        values = {"labels": [0, 1, 2], "class": [1] * 60, "out of range": [0, 77] * 30}[harm]
        content = struct.pack(">HBBI", 0, 8, 1, len(values)) + bytes(values)
        labels.write_bytes(gzip.compress(content))
    raised(lambda: load("fashion-mnist", root=tmp_path), says, kind=DataError)


RECIPE = """\
data: {name: folder, root: pictures, size: 8}
model: {name: mobilenet_v1, arguments: {layout: [[8, 1, 1]], stem_channels: 8}}
budget: {limits: {macs: 2x}}
training: {epochs: 1, batch_size: 16}
"""


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("data.validation=0.0001", "takes none"),
        ("data.root=nowhere", "no such folder"),
        ("data.skip_corrupt=perhaps", "skip_corrupt"),
        ("data.size=100000", "size"),
    ],
)
def test_on_the_command_line_nothing_is_written(said: str, says: str, tmp_path: Path) -> None:
    folder(tmp_path / "pictures")
    (tmp_path / "r.yaml").write_text(RECIPE)
    refused(["plan", "r.yaml", "--set", said], tmp_path, says)


def test_minutes_are_above_nothing(tmp_path: Path) -> None:
    folder(tmp_path / "pictures")
    (tmp_path / "r.yaml").write_text(RECIPE)
    refused(["plan", "r.yaml", "--minutes", "0"], tmp_path, "minutes: expected")

"""Every loader reads its format from disk, repeats itself, and says what is missing where."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from data_examples import (
    jpeg_archive,
    some_images,
    write_class_folders,
    write_idx,
    write_idx_folder,
)
from PIL import Image

from easearch.data import DATASETS, Images, fashion_mnist, load
from easearch.data._torchvision import torchvision
from easearch.data.adapt import adapt
from easearch.errors import DataError

WITHOUT_FILES = {"fashion-mnist-mini"}


@pytest.fixture
def no_debian(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "no-debian")


def fingerprints(images: Images) -> set[bytes]:
    return {hashlib.sha256(x.numpy().tobytes()).digest() for x in images.x}


def same(first: Images, second: Images) -> bool:
    return torch.equal(first.x, second.x) and torch.equal(first.y, second.y)


@pytest.mark.parametrize("name", sorted(set(DATASETS) - WITHOUT_FILES))
@pytest.mark.usefixtures("no_debian")
def test_missing_files_are_named_with_the_root_and_the_remedy(name, tmp_path):
    with pytest.raises(DataError, match=f"^{name}: expected ") as error:
        load(name, root=tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(error.value)
    assert "Traceback" not in str(error.value)


def test_unknown_name_gets_the_nearest():
    with pytest.raises(DataError, match="did you mean 'fashion-mnist-mini'"):
        load("fashion-mnist-min")


def test_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEARCH_DATA", str(tmp_path / "there"))
    with pytest.raises(DataError, match="there"):
        load("cifar100")


def test_embedded_has_its_counts_balanced_and_disjoint(mini):
    assert (len(mini.train), len(mini.validation), len(mini.test)) == (9000, 1000, 2000)
    assert (mini.shape, mini.num_classes) == ((1, 28, 28), 10)
    for part, each in ((mini.train, 900), (mini.validation, 100), (mini.test, 200)):
        assert torch.bincount(part.y).tolist() == [each] * 10
    assert not fingerprints(mini.train) & fingerprints(mini.validation)
    assert mini.mean == pytest.approx((0.286,), abs=0.01)
    assert mini.std == pytest.approx((0.353,), abs=0.01)


def test_embedded_is_small_quick_and_licensed():
    folder = Path(fashion_mnist.__file__).parent / "embedded"
    assert (folder / "fashion-mnist-mini.npz.xz").stat().st_size < 5e6
    assert "Zalando SE" in (folder / "LICENSE-fashion-mnist.txt").read_text()
    start = time.process_time()
    load("fashion-mnist-mini")
    assert time.process_time() - start < 3


def test_seed_chooses_the_validation_part_only(mini):
    again, other = load("fashion-mnist-mini"), load("fashion-mnist-mini", seed=1)
    assert same(again.train, mini.train)
    assert same(again.validation, mini.validation)
    assert not same(other.validation, mini.validation)
    assert same(other.test, mini.test)
    assert len(load("fashion-mnist-mini", validation=0).validation) == 0


def test_size_and_channels_change_every_part():
    data = load("fashion-mnist-mini", size=16, channels=3)
    assert data.shape == (3, 16, 16)
    assert data.validation.x.shape[1:] == data.test.x.shape[1:] == (3, 16, 16)
    assert len(data.mean) == len(data.std) == 3


def test_some_images_are_the_same_for_every_seed_and_leave_the_test_whole(mini):
    some = [load("fashion-mnist-mini", images=500, validation=0.2, seed=seed) for seed in (0, 1)]
    first, other = (fingerprints(data.train) | fingerprints(data.validation) for data in some)
    assert first == other < fingerprints(mini.train) | fingerprints(mini.validation)
    assert fingerprints(some[0].train) != fingerprints(some[1].train)
    for data in some:
        assert torch.bincount(data.train.y).tolist() == [40] * 10
        assert torch.bincount(data.validation.y).tolist() == [10] * 10
        assert same(data.test, mini.test)
    with pytest.raises(DataError, match=r"images: expected .* 10,000 .*got 10001"):
        load("fashion-mnist-mini", images=10001)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("below", ["", "fashion-mnist", "FashionMNIST/raw"])
def test_fashion_mnist_reads_idx_files(tmp_path, suffix, below):
    train, test = some_images(40), some_images(20, seed=1)
    root = tmp_path / "root"
    write_idx_folder(root / below, train, test, suffix)
    data = load("fashion-mnist", root=root, validation=0)
    assert same(data.train, train)
    assert same(data.test, test)


@pytest.mark.parametrize("harm", ["cut", "floats", "axes", "empty"])
def test_fashion_mnist_refuses_damaged_files(tmp_path, harm):
    root = tmp_path / "root"
    write_idx_folder(root, some_images(), some_images(), ".gz" if harm == "cut" else "")
    path = next(root.glob("train-images*"))
    content = path.read_bytes()
    if harm == "axes":
        write_idx(path, np.zeros((60, 64), np.uint8))
    else:
        float_kind = content[:2] + b"\x0d" + content[3:]
        path.write_bytes({"cut": content[:-50], "floats": float_kind, "empty": b""}[harm])
    with pytest.raises(DataError, match="train-images"):
        load("fashion-mnist", root=root)


@pytest.fixture
def colour(mini) -> Images:
    return adapt(mini.test.take(torch.arange(50)), size=32, channels=3)


def test_cifar10_reads_the_archive_of_jpegs(tmp_path, colour):
    jpeg_archive(tmp_path / "cifar10.npz", train=colour, test=colour)
    data = load("cifar10", root=tmp_path, validation=0)
    assert data.shape == (3, 32, 32)
    assert torch.equal(data.train.y, colour.y)
    assert (data.train.x.float() - colour.x.float()).abs().mean() < 3
    assert same(data.test, load("cifar10", root=tmp_path, validation=0, seed=1).test)


@pytest.mark.parametrize("harm", ["part", "offsets", "picture", "no-zip", "empty", "pickle"])
def test_cifar10_refuses_other_archives(tmp_path, colour, harm):
    path = tmp_path / "cifar10.npz"
    jpeg_archive(path, **({} if harm == "part" else {"test": colour}), train=colour)
    arrays = dict(np.load(path))
    if harm == "offsets":
        arrays["off_train"] = arrays["off_train"][:-1]
    elif harm == "picture":
        arrays["jpeg_train"] = np.zeros_like(arrays["jpeg_train"])
    elif harm == "pickle":
        arrays["jpeg_train"] = np.array([{"a": 1}], dtype=object)
    np.savez(path, **arrays)
    if harm in ("no-zip", "empty"):
        path.write_bytes(b"nothing of the kind" if harm == "no-zip" else b"")
    with pytest.raises(DataError, match=r"cifar10\.npz"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")]
)
def test_cifar_never_unpickles_what_is_not_the_original(tmp_path, name, folder):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / folder).mkdir()
    for file in ("data_batch_1", "test_batch", "batches.meta", "train", "test", "meta"):
        (tmp_path / folder / file).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="not the original"):
        load(name, root=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_torchvision_imports_whatever_it_was_built_for():
    assert torchvision("datasets").CIFAR10
    assert torchvision("transforms.v2") is torchvision("transforms.v2")


def test_folder_with_both_parts(tmp_path):
    train, test = some_images(30, channels=3), some_images(12, channels=3, seed=1)
    write_class_folders(tmp_path / "train", train)
    write_class_folders(tmp_path / "test", test)
    (tmp_path / "train" / ".cache").mkdir()
    data = load("folder", root=tmp_path, size=8, validation=0)
    assert data.classes == ("cat", "dog", "emu")
    assert fingerprints(data.train) == fingerprints(train)
    assert same(data.train, train.take(train.y.argsort(stable=True)))
    assert fingerprints(data.test) == fingerprints(test)


def test_folder_of_classes_holds_out_the_same_test_for_every_seed(tmp_path):
    write_class_folders(tmp_path, some_images(60))
    first, other = (load("folder", root=tmp_path, size=8, channels=1, seed=s) for s in (0, 1))
    assert (len(first.train), len(first.validation), len(first.test)) == (42, 6, 12)
    assert same(first.test, other.test)
    assert not same(first.validation, other.validation)
    assert not fingerprints(first.test) & fingerprints(first.train)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_folder_crops_and_converts_any_picture(tmp_path, channels, mode):
    for name, shade in {"dark": 0, "light": 255}.items():
        (tmp_path / name).mkdir()
        for index in range(5):
            wide = Image.new("L", (30 + index, 20), 255 - shade)
            wide.paste(shade, (5, 0, 25 + index, 20))
            wide.convert(mode).save(tmp_path / name / f"{index}.png")
    data = load("folder", root=tmp_path, size=10, channels=channels)
    assert data.shape == (channels, 10, 10)
    assert (data.train.x[data.train.y == 0] == 0).all()
    assert (data.train.x[data.train.y == 1] == 255).all()


@pytest.mark.parametrize("harm", ["empty class", "text", "floats", "test classes"])
def test_folder_says_which_picture_or_class_is_wrong(tmp_path, harm):
    write_class_folders(tmp_path / "train", some_images(30))
    write_class_folders(tmp_path / "test", some_images(30), names=("cat", "dog", "emu"))
    if harm == "empty class":
        (tmp_path / "train" / "fox").mkdir()
        (tmp_path / "test" / "fox").mkdir()
    elif harm == "text":
        (tmp_path / "train" / "cat" / "fox.png").write_text("fox")
    elif harm == "floats":
        Image.new("F", (8, 8)).save(tmp_path / "train" / "cat" / "fox.tif")
    else:
        (tmp_path / "test" / "fox").mkdir()
    with pytest.raises(DataError, match="fox"):
        load("folder", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "counts", "mean"),
    [("fashion-mnist", (54000, 6000, 10000), 0.286), ("cifar10", (45000, 5000, 10000), 0.4734)],
)
def test_full_data_is_as_published(name, counts, mean):
    if "EASEARCH_DATA" not in os.environ:
        pytest.skip("EASEARCH_DATA names no folder with the full data")
    try:
        data = load(name)
    except DataError as error:
        pytest.skip(str(error))
    assert (len(data.train), len(data.validation), len(data.test)) == counts
    assert torch.bincount(data.validation.y).tolist() == [counts[1] // 10] * 10
    assert sum(data.mean) / len(data.mean) == pytest.approx(mean, abs=2e-3)

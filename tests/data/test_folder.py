"""Folders of pictures as people have them: parts, names, formats, orientations, what is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from easearch.data import Dataset, load
from easearch.data.balance import table
from easearch.data.picture import SUFFIXES
from easearch.errors import DataError

SIDE = 8


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def write(root: Path, counts: dict[str, int], suffix: str = ".png", *, seed: int = 0) -> None:
    """So many pictures in each folder below the root, all different."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture(seed + 1000 * number + index).save(root / name / f"{index:03}{suffix}")


def read(root: Path, **more) -> Dataset:
    return load("folder", root=root, size=SIDE, **more)


def one(path: Path, image: Image.Image, tmp_path: Path, **saved) -> torch.Tensor:
    """What becomes of one picture: the first of the first class, in CHW bytes."""
    write(tmp_path / "train", {"a": 4, "b": 5})
    write(tmp_path / "test", {"a": 2, "b": 2}, seed=99)
    image.save(tmp_path / "train" / "a" / path, **saved)
    data = read(tmp_path, validation=0)
    return data.train.x[0]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALID"])
@pytest.mark.parametrize("test", [True, False])
def test_a_validation_folder_is_the_validation_part(tmp_path, name, test):
    write(tmp_path / "train", {"a": 10, "b": 20})
    write(tmp_path / name, {"a": 3, "b": 4}, seed=500)
    if test:
        write(tmp_path / "test", {"a": 2, "b": 6}, seed=700)
    data = read(tmp_path)
    learnt = [("a", 10, 3, 2), ("b", 20, 4, 6)] if test else [("a", 8, 3, 2), ("b", 16, 4, 4)]
    assert table(data) == learnt
    assert any("the folder's own" in note for note in data.notes)
    assert any("held out" in note for note in data.notes) is not test


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".JpEg"])
def test_every_suffix_is_read_in_any_case(tmp_path, suffix):
    write(tmp_path, {"a": 5, "b": 5}, suffix)
    data = read(tmp_path)
    assert [sum(row[1:]) for row in table(data)] == [5, 5]


def test_what_file_managers_leave_is_ignored_and_other_files_are_said(tmp_path):
    write(tmp_path / "train", {"a": 5, "b": 5})
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png", ".hidden.png"):
        (tmp_path / "train" / "a" / name).write_bytes(b"no picture")
    for name in (".cache", "__MACOSX", "@eaDir"):
        write(tmp_path / "train" / "b" / name, {"x": 1})
        write(tmp_path / "train" / name, {"x": 1})
    assert not any("no pictures" in note for note in read(tmp_path).notes)
    (tmp_path / "train" / "a" / "labels.csv").write_text("x")
    (tmp_path / "train" / "a" / "IMG.HEIC").write_bytes(b"x")
    (tmp_path / "notes").mkdir()
    data = read(tmp_path)
    assert "not read: 1 .heic, 1 .csv" in " | ".join(data.notes)
    assert "other folders, not read: 'notes'" in " | ".join(data.notes)
    assert [sum(row[1:]) for row in table(data)] == [5, 5]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_a_mode_shows_what_a_viewer_shows(tmp_path, mode):
    grey = Image.linear_gradient("L").resize((SIDE, SIDE))
    levels = np.asarray(grey.convert("1").convert("L") if mode == "1" else grey)
    if mode == "I;16":
        made = Image.fromarray(levels.astype(np.uint16) * 257)
    else:
        made = (grey if mode in ("L", "1", "P", "LA") else grey.convert("RGB")).convert(mode)
    suffix = ".tif" if mode == "CMYK" else ".png"
    found = one(Path(f"00-{suffix}"), made, tmp_path)
    assert (found.float() - torch.tensor(levels.astype(np.float32))).abs().max() <= 1


@pytest.mark.parametrize("kind", ["RGBA", "palette", "grey"])
def test_transparent_parts_are_white_whatever_hides_there(tmp_path, kind):
    if kind == "RGBA":
        made, saved = Image.new("RGBA", (SIDE, SIDE), (200, 30, 10, 0)), {}
    elif kind == "grey":
        made, saved = Image.new("L", (SIDE, SIDE), 7), {"transparency": 7}
    else:
        made, saved = Image.new("P", (SIDE, SIDE), 3), {"transparency": 3}
        made.putpalette([9, 9, 9] * 256)
    assert (one(Path("00-.png"), made, tmp_path, **saved) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_as_its_exif_says(tmp_path, orientation):
    upright = np.zeros((SIDE, SIDE, 3), np.uint8)
    upright[0, :, 0], upright[:, 0, 1] = 255, 255
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = one(Path("00-.png"), Image.fromarray(turned.copy()), tmp_path, exif=exif.tobytes())
    assert torch.equal(found, torch.from_numpy(upright).permute(2, 0, 1))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (SIDE, SIDE), shade) for shade in ("white", "black", "red")]
    saved = {"save_all": True, "append_images": frames[1:]}
    found = one(Path(f"00-{suffix}"), frames[0], tmp_path, **saved)
    assert (found == 255).all()


def corrupt(folder: Path) -> list[str]:
    """Files that are no pictures, of every kind; their names."""
    whole = (folder / "000.png").read_bytes()
    (folder / "zero.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is a text")
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "gone.webp").symlink_to(folder / "nowhere")
    (folder / "loop.gif").symlink_to(folder / "loop.gif")
    (folder / "html.bmp").write_text("<html>404</html>")
    os.mkfifo(folder / "pipe.jpeg")
    (folder / "null.tif").symlink_to("/dev/zero")
    return ["cut.png", "gone.webp", "html.bmp", "loop.gif", "null.tif", "pipe.jpeg", "text.jpg"]


def test_all_unreadable_pictures_are_named_at_once(tmp_path):
    write(tmp_path, {"a": 10, "b": 10})
    names = corrupt(tmp_path / "a")
    with pytest.raises(DataError) as error:
        read(tmp_path)
    text = str(error.value)
    assert "8 of 28 pictures" in text and "and 3 more" in text and "data.skip_corrupt" in text
    assert all(f"a/{name}" in text for name in names[:5])
    assert "\n" not in text and len(text) < 700


def test_unreadable_pictures_are_skipped_on_request_and_a_tenth_at_most(tmp_path):
    write(tmp_path, {"a": 90, "b": 10})
    names = corrupt(tmp_path / "a")
    data = read(tmp_path, skip_corrupt=True)
    assert [sum(row[1:]) for row in table(data)] == [90, 10]
    (note,) = (note for note in data.notes if note.startswith("skipped"))
    assert "8 of 108 pictures" in note and names[0] in note
    for index in range(4):
        (tmp_path / "b" / f"more{index}.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"12 of 112 .* skips 10% of the pictures at most"):
        read(tmp_path, skip_corrupt=True)
    for path in (tmp_path / "b").glob("0*.png"):
        path.unlink()
    write(tmp_path, {"a": 250})
    with pytest.raises(DataError, match=r"no picture of 'b' .* can be read"):
        read(tmp_path, skip_corrupt=True)


def test_classes_are_the_same_in_every_part_and_in_one_order(tmp_path):
    write(tmp_path / "train", {"b é": 5, "a": 5})
    write(tmp_path / "val", {"b e\u0301": 5, "a": 5}, seed=70)
    data = read(tmp_path)
    assert data.classes == ("a", "b é")
    write(tmp_path / "val", {"wolf": 1})
    with pytest.raises(DataError, match=r"got 3 classes, with 'wolf'"):
        read(tmp_path)
    write(tmp_path / "train", {"wolf": 3, "fox": 3})
    with pytest.raises(DataError, match=r"got 3 classes, without 'fox'"):
        read(tmp_path)


def test_counts_and_what_is_odd_about_them(tmp_path):
    write(tmp_path, {"Cat": 200, "cat": 10, "dog": 40})
    data = read(tmp_path)
    assert table(data) == [("Cat", 144, 16, 40), ("cat", 7, 1, 2), ("dog", 29, 3, 8)]
    text = " | ".join(data.notes)
    assert "very unequal: 'Cat' has 144 training pictures, 'cat' 7" in text
    assert "few validation pictures: 1 of 'cat', fewer than 5 of 2 classes" in text
    assert "'Cat' and 'cat' differ in case only" in text


def test_pictures_in_two_parts_or_two_classes_are_said(tmp_path):
    write(tmp_path / "train", {"a": 10, "b": 10})
    write(tmp_path / "test", {"a": 5, "b": 5})
    picture(0).save(tmp_path / "train" / "b" / "again.png")
    notes = read(tmp_path).notes
    assert "10 pictures are both in train and in test" in " | ".join(notes)
    assert "1 pictures have two classes, one of them 'a' and 'b'" in " | ".join(notes)


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path):
    write(tmp_path / "elsewhere", {"cats": 5})
    root = tmp_path / "root"
    write(root, {"dog": 5})
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "dog" / "up").symlink_to(root)
    (root / "round").symlink_to(root / "round")
    assert [sum(row[1:]) for row in table(read(root))] == [5, 5]


def test_a_class_that_is_called_train_is_a_class(tmp_path):
    write(tmp_path, {"car": 5, "plane": 5, "train": 5})
    data = read(tmp_path)
    assert data.classes == ("car", "plane", "train")
    assert "'train' is taken as a class" in " | ".join(data.notes)


def test_pictures_without_a_class_are_no_test(tmp_path):
    write(tmp_path / "train", {"a": 10, "b": 10})
    write(tmp_path, {"test": 4})
    data = read(tmp_path)
    assert len(data.test) == 4 and "'test' holds pictures without a class" in " | ".join(data.notes)


@pytest.mark.parametrize("size", [(1, 1), (10_000, 3), (3, 5000), (1, 700)])
def test_pictures_of_odd_sizes_are_read(tmp_path, size):
    found = one(Path("00-.png"), Image.new("RGB", size, (1, 2, 3)), tmp_path)
    assert found.flatten(1).float().mean(1).tolist() == [1, 2, 3]

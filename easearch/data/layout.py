"""Where the parts and classes of a folder of pictures lie, and what is wrong with them, said."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from easearch.data.picture import SUFFIXES
from easearch.errors import DataError, printable

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names of the folder of a part, in any case."""

IGNORED = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"}
"""Left by file managers; ignored without a word, as hidden files are."""

NAMED = 5
"""Files, folders or classes that a message names at most."""

LONGEST = 120
"""Characters of a name or path that a message repeats."""

EXPECTED = "'train/CLASS/*.png' with 'val/' or 'test/' beside it, or 'CLASS/*.png', two classes"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Files by class, a part each, every part with the same classes in the same order.

    `validation` and `test` are None where the folder has none. `notes` are sentences on what lies
    there and is not read.
    """

    classes: tuple[str, ...]
    train: Mapping[str, Sequence[Path]]
    validation: Mapping[str, Sequence[Path]] | None
    test: Mapping[str, Sequence[Path]] | None
    notes: tuple[str, ...]


def find_layout(root: Path) -> Layout:
    """Find the parts and their classes under the root.

    Raises:
        DataError: no folder, fewer than two classes, parts with other classes, a class without
            pictures, or pictures deeper than a folder below their class.
    """
    try:
        return _found(root)
    except OSError as error:
        place = f" '{shown(error.filename)}'" if error.filename else ""
        raise DataError(f"folder: cannot read{place} ({error.strerror or error}).") from None


def _found(root: Path) -> Layout:
    below = _folders(root)
    parts = _parts(below)
    notes: list[str] = []
    if "train" not in parts:
        classes = _classes(root, below, whole=True, root=root)
        notes += [
            f"the folder '{name}' is taken as a class, since it holds pictures"
            for name in classes
            if _part_of(name)
        ]
        train = _files(classes, notes)
        return Layout(
            classes=tuple(classes), train=train, validation=None, test=None, notes=tuple(notes)
        )
    others = [name for name, path in below.items() if path not in parts.values()]
    if others:
        notes.append(f"beside the parts there lie other folders, not read: {listed(others)}")
    classes = _classes(parts["train"], _folders(parts["train"]), whole=False, root=root)
    train = _files(classes, notes)
    found = {
        part: _other_part(parts[part], parts["train"], tuple(classes), notes)
        for part in ("validation", "test")
        if part in parts
    }
    return Layout(
        classes=tuple(classes),
        train=train,
        validation=found.get("validation"),
        test=found.get("test"),
        notes=tuple(notes),
    )


def _parts(below: Mapping[str, Path]) -> dict[str, Path]:
    """The folders that are parts: they are called so, and hold folders."""
    found: dict[str, Path] = {}
    for name, path in below.items():
        part = _part_of(name)
        if part is None:
            continue
        if part in found:
            raise DataError(
                f"folder: expected one folder for the {part} part, got '{found[part].name}' and "
                f"'{name}' in '{shown(path.parent)}'; keep one."
            )
        found[part] = path
    if "train" in found and not _folders(found["train"]):
        lone = all(_part_of(name) for name in below)
        if lone:
            raise DataError(
                f"folder: expected a folder a class in '{shown(found['train'])}', got "
                "none; a picture's class is the folder it lies in."
            )
        del found["train"]  # a class of that name, among others
    if "train" not in found and found:
        first = next(iter(found.values()))
        raise DataError(
            f"folder: '{shown(first)}' is a part by its name, but there is no 'train' with a "
            "folder a class beside it; put the classes' folders into 'train', or rename it if it "
            "is a class."
        )
    return found


def _part_of(name: str) -> str | None:
    return next((part for part, names in PARTS.items() if name.casefold() in names), None)


def _classes(
    folder: Path, below: Mapping[str, Path], *, whole: bool, root: Path
) -> dict[str, Path]:
    """The folders of the classes by their names.

    Raises:
        DataError: fewer than two, or names that cannot be told apart or printed.
    """
    if len(below) < 2:
        got = f"the folder {listed(below)} alone" if below else "no folder"
        loose = sum(1 for path in _entries(folder) if _is_picture(path))
        also = f" and {loose:,} pictures in no class" if loose else ""
        raise DataError(
            f"folder: expected {EXPECTED if whole else 'a folder a class, two'} or more, under "
            f"'{shown(folder)}', found {got}{also}. {_hint(below, root)}"
        )
    found: dict[str, Path] = {}
    for said, path in below.items():
        if not said.isprintable():
            raise DataError(
                f"folder: expected a class name of printable characters, got {said!a} in "
                f"'{shown(folder)}'; rename the folder."
            )
        name = unicodedata.normalize("NFC", said)
        if name in found:
            raise DataError(
                f"folder: two classes in '{shown(folder)}' are called '{name}', composed of "
                "other code points; put them into one."
            )
        found[name] = path
    return dict(sorted(found.items()))


def _hint(below: Mapping[str, Path], root: Path) -> str:
    """Where the root should have been, if that can be told."""
    for path in below.values():
        inner = _folders(path)
        if len(inner) >= 2:
            return f"Was root: '{shown(path)}' meant?"
    return f"Set root to the pictures' folder; it is '{shown(root)}'."


def _files(classes: Mapping[str, Path], notes: list[str]) -> dict[str, list[Path]]:
    """The pictures of every class, in order.

    Raises:
        DataError: a class without pictures, or with pictures in folders below it.
    """
    found: dict[str, list[Path]] = {}
    nested: list[str] = []
    other: Counter[str] = Counter()
    for name, folder in classes.items():
        entries = list(_entries(folder))
        found[name] = [path for path in entries if _is_picture(path)]
        deeper = [path for path in entries if path.is_dir() and not path.is_symlink()]
        nested += [f"{name}/{shown(path.name)}" for path in deeper if _holds_pictures(path)]
        other.update(map(_kind, entries))
    del other[""]
    place = shown(next(iter(classes.values())).parent)
    if nested:
        raise DataError(
            f"folder: expected pictures right in the folder of their class under '{place}', got "
            f"folders of pictures below: {listed(nested)}; move the pictures up, or set root so "
            "that these folders are the classes."
        )
    empty = [name for name, paths in found.items() if not paths]
    if empty:
        said = f" (there are files of other kinds: {_kinds(other)})" if other else ""
        raise DataError(
            f"folder: expected pictures ({' '.join(SUFFIXES)}) in every class of '{place}', got "
            f"none of {listed(empty)}{said}; put pictures there, or remove the class "
            "from every part."
        )
    if other:
        notes.append(f"files in '{place}' that are no pictures, not read: {_kinds(other)}")
    return found


def _other_part(
    folder: Path, train: Path, classes: tuple[str, ...], notes: list[str]
) -> dict[str, list[Path]] | None:
    """The files of the validation or test part; None, and a note, where nothing has a class."""
    below = _folders(folder)
    if not below:
        what = "pictures without a class" if any(map(_is_picture, _entries(folder))) else "nothing"
        notes.append(f"the folder '{shown(folder.name)}' holds {what}: not used")
        return None
    named = {unicodedata.normalize("NFC", name): path for name, path in below.items()}
    if set(named) != set(classes):
        lost = [name for name in classes if name not in named]
        more = [name for name in sorted(named) if name not in classes]
        told = [f"without {listed(lost)}"] * bool(lost) + [f"with {listed(more)}"] * bool(more)
        got = "1 class" if len(named) == 1 else f"{len(named):,} classes"
        raise DataError(
            f"folder: expected the classes of '{shown(train)}' in '{shown(folder)}', got {got}, "
            f"{' and '.join(told)}; give both parts the same classes."
        )
    return _files({name: named[name] for name in classes}, notes)


def _entries(folder: Path) -> Iterator[Path]:
    """What lies in a folder, in order; not what is hidden or left by file managers."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.name.casefold() not in IGNORED:
            yield path


def _folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"folder: expected {EXPECTED} or more, under '{shown(folder)}', found no such "
            "folder. Set root to the pictures' folder."
        )
    return {path.name: path for path in _entries(folder) if path.is_dir()}


def _kind(path: Path) -> str:
    """What no picture is called in a count; empty for what is read or looked into."""
    if path.is_dir():
        return "linked folder" if path.is_symlink() else ""
    return "" if _is_picture(path) else path.suffix.lower() or "without a suffix"


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _holds_pictures(folder: Path) -> bool:
    # links are not followed: they may lead in a circle
    for _, _, files in os.walk(folder):
        if any(Path(name).suffix.lower() in SUFFIXES for name in files if name[0] != "."):
            return True
    return False


def _kinds(counts: Counter[str]) -> str:
    return listed([f"{count} {shown(kind)}" for kind, count in counts.most_common()], quote="")


def listed(names: Sequence[str] | Mapping[str, Path], *, quote: str = "'") -> str:
    """The first few, and how many more: `'cat', 'dog' and 3 more`."""
    first = [f"{quote}{shown(name)}{quote}" for name in list(names)[:NAMED]]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def shown(name: object) -> str:
    """A name or path as a sentence can show it: on one line, cut where it is long."""
    return printable(str(name), LONGEST)

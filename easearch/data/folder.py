"""A folder of your own pictures: a folder a class, with or without parts of its own.

`train/CLASS/*` with `val/CLASS/*` (or `valid`, `validation`), `test/CLASS/*`, or both; or `CLASS/*`
alone. Where there is no test part, a fifth of every class of train is held out for it: always the
same fifth, so that runs with other seeds meet the same test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from easearch.data.adapt import check_memory, check_picture
from easearch.data.images import Images, split
from easearch.data.layout import find_layout, listed, shown
from easearch.data.leaks import leaks
from easearch.data.loading import Parts, Request
from easearch.data.picture import UnreadableError, read_picture
from easearch.errors import DataError

SIZE = 64
"""Pixels a side, where the request names none."""

CHANNELS = 3
"""Colour, where the request says nothing else."""

HELD_OUT = 0.2
"""The share of every class that becomes the test part, where the folder has none."""

HELD_OUT_SEED = 0

SKIPPED = 0.1
"""The share of all pictures that may be skipped at most, where the request allows it."""

NAMED = 5
"""Unreadable files that a message names."""

LICENCE = "that of your own pictures"


def load_folder(request: Request) -> Parts:
    """Read the pictures under the root, cropped to their middle square and resized to `size`.

    Raises `DataError` for fewer than two classes, parts with other classes, a class without
    pictures, and, all at once, pictures that cannot be read.
    """
    check_picture(size=request.size, channels=request.channels)
    size, channels = request.size or SIZE, request.channels or CHANNELS
    layout = find_layout(request.root)
    wanted = [part for part in (layout.train, layout.validation, layout.test) if part is not None]
    count = sum(len(paths) for part in wanted for paths in part.values())
    check_memory(count, channels, size)
    bad: dict[Path, str] = {}
    read = [_read(part, layout.classes, size, channels, bad) for part in wanted]
    notes = [*layout.notes, *_unreadable(bad, count, request.skip_corrupt, request.root)]
    for part, images in zip(wanted, read, strict=True):
        _check_left(part, images, layout.classes)
    train, others = read[0], read[1:]
    validation = others.pop(0) if layout.validation is not None else None
    test = others.pop(0) if layout.test is not None else None
    if validation is not None:
        notes.append("the validation part is the folder's own: data.validation is not used")
    if test is None:
        notes.append(
            f"there is no test part: {HELD_OUT:.0%} of every class of train are held out for it, "
            "the same pictures for every seed"
        )
        train, test = split(
            train, HELD_OUT, seed=HELD_OUT_SEED, classes=layout.classes, what="test part"
        )
    notes += leaks({"train": train, "validation": validation, "test": test}, layout.classes)
    return Parts(
        train=train,
        validation=validation,
        test=test,
        classes=layout.classes,
        licence=LICENCE,
        notes=tuple(notes),
    )


def _read(
    files: Mapping[str, Sequence[Path]],
    classes: Sequence[str],
    size: int,
    channels: int,
    bad: dict[Path, str],
) -> Images:
    """All pictures of a part that can be read; the others go to `bad`, with the reason."""
    labelled = [(label, path) for label, name in enumerate(classes) for path in files[name]]
    x = torch.empty(len(labelled), channels, size, size, dtype=torch.uint8)
    labels: list[int] = []
    for label, path in labelled:
        try:
            x[len(labels)] = read_picture(path, size, channels)
            labels.append(label)
        except UnreadableError as error:
            bad[path] = str(error)
    return Images(x=x[: len(labels)], y=torch.tensor(labels, dtype=torch.int64))


def _unreadable(bad: Mapping[Path, str], count: int, skip: bool, root: Path) -> Iterator[str]:
    """A note on what was skipped.

    Raises:
        DataError: unreadable pictures, and they may not be skipped, or are too many.
    """
    if not bad:
        return
    told_of = [f"'{shown(_below(path, root))}' ({why})" for path, why in bad.items()]
    more = f" and {len(told_of) - NAMED:,} more" if len(told_of) > NAMED else ""
    told = f"{len(bad):,} of {count:,} pictures"
    names = f"{', '.join(told_of[:NAMED])}{more}"
    if skip and len(bad) <= SKIPPED * count:
        yield f"skipped {told} that cannot be read: {names}"
        return
    advice = "mend or remove them, or say data.skip_corrupt: true"
    if skip:
        advice = f"data.skip_corrupt skips {SKIPPED:.0%} of the pictures at most"
    raise DataError(f"folder: {told} under '{shown(root)}' cannot be read: {names}; {advice}.")


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _check_left(part: Mapping[str, Sequence[Path]], images: Images, classes: Sequence[str]) -> None:
    """Refuse a class of which nothing but unreadable pictures was there."""
    left = set(images.y.tolist())
    gone = [name for label, name in enumerate(classes) if label not in left]
    if gone:
        folder = next(iter(part.values()))[0].parent.parent
        raise DataError(
            f"folder: no picture of {listed(gone)} in '{shown(folder)}' can be read; mend "
            "them, or remove the class."
        )

"""What a loader is asked for and what it gives, before anything is cut off for validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from easearch.data.images import Images
from easearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the caller wants: the folder to read, the size and channels of the pictures.

    `size` is pixels a side, `channels` 1 or 3; None means the data set's own. Only with `download`
    may a loader use the network. `skip_corrupt`: leave out pictures that cannot be read, a share of
    them at most that the loader states.
    """

    root: Path
    size: int | None = None
    channels: int | None = None
    download: bool = False
    skip_corrupt: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """What a loader gives: all pictures, in a fixed order, and the names of the classes.

    `validation` is the data's own part; None: it is cut from train. `notes` are sentences on what a
    reader of a run should know of the data. Raises `DataError` where a part is empty, parts differ
    in shape, a class has no name, or all training pictures are of one.
    """

    train: Images
    validation: Images | None = None
    test: Images
    classes: tuple[str, ...]
    licence: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        for name, part in parts.items():
            if part is None:
                continue
            if not len(part):
                raise DataError(f"expected pictures in the {name} part, got none.")
            self._check(name, part)
        if len(set(self.train.y.tolist())) < 2:
            only = self.classes[int(self.train.y[0])]
            raise DataError(
                f"expected training pictures of two classes or more, got all of '{only}'; a "
                "network cannot learn to tell one class from nothing."
            )

    def _check(self, name: str, part: Images) -> None:
        shape, own = tuple(part.x.shape[1:]), tuple(self.train.x.shape[1:])
        if shape != own:
            raise DataError(f"expected one shape of train and {name}, got {own}, {shape}.")
        for label in (int(part.y.min()), int(part.y.max())):
            if not 0 <= label < len(self.classes):
                raise DataError(
                    f"expected classes 0 to {len(self.classes) - 1} in the {name} part, got "
                    f"{label}."
                )


Loader = Callable[[Request], Parts]
"""Reads one data set; raises `DataError` if it is missing, saying where to get it."""


def missing(name: str, expected: str, root: Path, remedy: str) -> DataError:
    """The error for data that is not there: what was expected, where, and how to get it."""
    return DataError(f"{name}: expected {expected} under '{root}', found none. {remedy}")

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
    may a loader use the network.
    """

    root: Path
    size: int | None = None
    channels: int | None = None
    download: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """What a loader gives: all pictures, in a fixed order, and the names of the classes.

    Raises `DataError` where train and test differ in shape, or a class has no name.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    licence: str

    def __post_init__(self) -> None:
        shapes = [tuple(part.x.shape[1:]) for part in (self.train, self.test)]
        if shapes[0] != shapes[1]:
            raise DataError(f"expected one shape of train and test, got {shapes[0]}, {shapes[1]}.")
        for label in {*self.train.y.tolist(), *self.test.y.tolist()}:
            if not 0 <= label < len(self.classes):
                raise DataError(f"expected classes 0 to {len(self.classes) - 1}, got {label}.")


Loader = Callable[[Request], Parts]
"""Reads one data set; raises `DataError` if it is missing, saying where to get it."""


def missing(name: str, expected: str, root: Path, remedy: str) -> DataError:
    """The error for data that is not there: what was expected, where, and how to get it."""
    return DataError(f"{name}: expected {expected} under '{root}', found none. {remedy}")

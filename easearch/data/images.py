"""Pictures in memory: the parts of a data set as bytes, and the data set itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easearch.errors import DataError

SAMPLE_SEED = 0
"""Chooses the pictures where only some are wanted; fixed, so that all seeds learn from the same."""


LEAST = 0.2
"""Of a picture: a class whose share is at least so much gives one, of less it would give none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Pictures and their classes: `x` uint8 (N, C, H, W), `y` int64 (N,), on one device.

    Raises `DataError` when shapes or types are others.
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.x.dtype != torch.uint8 or self.x.ndim != 4:
            raise DataError(
                "pictures: expected uint8 (N, C, H, W), "
                f"got {self.x.dtype} {tuple(self.x.shape)}; scale to 0..255 and add missing axes."
            )
        if self.y.dtype != torch.int64 or self.y.shape != self.x.shape[:1]:
            raise DataError(
                f"classes: expected int64 ({len(self.x)},), one a picture, "
                f"got {self.y.dtype} {tuple(self.y.shape)}."
            )

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor) -> Images:
        """Copy the pictures at `indices` (int64, any order), in that order."""
        return Images(x=self.x[indices], y=self.y[indices])

    def to(self, device: str | torch.device) -> Images:
        """Move to a device; nothing is copied if they are there."""
        return Images(x=self.x.to(device), y=self.y.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set cut in three: growing sees `validation`; `test` is looked at once, at the end.

    `mean` and `std` are those of `train`, a number a channel, for pixels scaled to 0..1. `notes`
    are sentences on what a reader of a run should know of the data.
    """

    name: str
    train: Images
    validation: Images
    test: Images
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """One picture: channels, height, width."""
        _, channels, height, width = self.train.x.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def split(
    images: Images,
    fraction: float,
    *,
    seed: int,
    classes: Sequence[str] = (),
    what: str = "validation part",
) -> tuple[Images, Images]:
    """Cut a random `fraction` of every class off: (the rest, the part).

    Both keep the order of `images`. A pure function of its arguments; 0 gives an empty part.

    Args:
        images: what is cut.
        fraction: of every class, in [0, 1).
        seed: chooses the pictures.
        classes: names for messages.
        what: the part's name in messages.

    Raises:
        DataError: a fraction that is none, or one that leaves nothing of a class on a side.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"validation: expected a fraction in [0, 1), got {fraction!r}.")
    generator = torch.Generator().manual_seed(seed)
    cut = torch.zeros(len(images), dtype=torch.bool)
    counts = torch.bincount(images.y)
    _check_split(counts.tolist(), fraction, classes, what)
    for label in counts.nonzero().flatten().tolist():
        members = (images.y == label).nonzero().squeeze(1)
        count = share_of(len(members), fraction)
        cut[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return images.take((~cut).nonzero().squeeze(1)), images.take(cut.nonzero().squeeze(1))


def _check_split(counts: Sequence[int], fraction: float, classes: Sequence[str], what: str) -> None:
    """Refuse a fraction that takes nothing, or all, of a class that is there."""
    there = {label: count for label, count in enumerate(counts) if count}
    for taken, wanted, remedy in (
        ("all", [k for k, n in there.items() if share_of(n, fraction) == n], "smaller"),
        ("none", [k for k, n in there.items() if fraction and not share_of(n, fraction)], "larger"),
    ):
        if not wanted:
            continue
        names = [f"'{classes[k]}'" if classes else f"class {k}" for k in wanted]
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        raise DataError(
            f"{what}: a share of {fraction:g} takes {taken} of the pictures of {names[0]}{more}, "
            f"of which there are {there[wanted[0]]:,}; bring more pictures, a folder for the part, "
            f"or take a {remedy} share."
        )


def share_of(count: int, fraction: float) -> int:
    """How many of so many pictures a fraction is: the nearest, one where it is nearly none."""
    return max(round(count * fraction), int(count * fraction >= LEAST))


def sample(images: Images, number: int) -> Images:
    """Take `number` of the pictures, drawn class by class so that every class keeps its share.

    Always the same ones, in the order of `images`, and fewer of them are among more. Raises
    `DataError` for more than there are, or so few that a class is left out.
    """
    labels = sorted(set(images.y.tolist()))
    if not len(labels) <= number <= len(images):
        raise DataError(
            f"images: expected {len(labels):,} (one a class) to {len(images):,} (all that there "
            f"are), got {number!r}."
        )
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    turn = torch.empty(len(images), dtype=torch.float64)
    for label in labels:
        members = (images.y == label).nonzero().squeeze(1)
        drawn = torch.randperm(len(members), generator=generator).double()
        # Webster's method: the classes take turns in proportion to their sizes
        turn[members] = (drawn + 0.5) / len(members)
    taken = images.take(turn.argsort(stable=True)[:number].sort().values)
    if len(set(taken.y.tolist())) < len(labels):
        raise DataError(f"images: {number:,} leave out a small class; take more.")
    return taken


def statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel, for pixels scaled to 0..1.

    Counted exactly, from a histogram. A constant channel gets one grey level, 1/255, as its
    deviation.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.x.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * levels).sum()
        means.append(mean.item())
        deviations.append(max((share * (levels - mean).square()).sum().sqrt().item(), 1 / 255))
    return tuple(means), tuple(deviations)

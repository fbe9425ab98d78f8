"""A data set as the growth loop wants it: what to train on, score on, search on and judge by."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import easearch.data
from easearch.data import Augment, Batches, Dataset, Images
from easearch.errors import DataError
from easearch.recipe import Recipe

SCORED_AT_ONCE = 64
"""Micro-batches that fit the caches: scoring is faster than on large ones (docs/methods.md, 5)."""


CALIBRATING = 256
"""Training images that set the ranges of an int8 file."""
LEAST = 2
"""Training pictures of a class, without which half of them, to score on, may leave it out."""
SEARCHED = 4096
"""Training images on which steps are searched, at most: a mean loss needs no more."""


def data_of(recipe: Recipe) -> Dataset:
    """The data set that a recipe names, as it says.

    Raises:
        DataError: it cannot be had, or there are too few pictures to train on and to judge by.
    """
    part = recipe.data
    found = easearch.data.load(
        part.name,
        root=part.root,
        validation=part.validation,
        seed=recipe.seed,
        download=part.download,
        size=part.size,
        channels=part.channels,
        images=part.images,
        skip_corrupt=part.skip_corrupt,
    )
    _check_enough(found, part.validation)
    return found


def _check_enough(data: Dataset, validation: float) -> None:
    counts = torch.bincount(data.train.y, minlength=data.num_classes).tolist()
    least = min(counts)
    if not len(data.validation):
        raise DataError(
            f"data.validation: expected a share that holds out a picture or more, got "
            f"{validation:g} of {len(data.train):,} pictures in {data.num_classes} classes, the "
            f"smallest of {least}; say a larger share, or more data.images"
        )
    if not len(data.test):
        raise DataError(f"data: expected test pictures, got none in {data.name}; add some")
    if least < LEAST:
        name = data.classes[counts.index(least)]
        raise DataError(
            f"data: expected {LEAST} training pictures a class or more, got {least} of '{name}'; "
            "say more data.images, a smaller data.validation, or bring more pictures"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class DataFeed:
    """Batches of one data set, for one recipe, on one device. The test part is not among them."""

    dataset: Dataset
    recipe: Recipe
    device: str

    @property
    def samples(self) -> int:
        """Samples in one training epoch."""
        return self._training.samples

    @property
    def steps(self) -> int:
        """Batches in one training epoch."""
        return len(self._training)

    def training(self, epoch: int) -> Batches:
        """An epoch of augmented batches, in an order of its own."""
        return self._training.at(epoch)

    def scoring(self, epoch: int) -> Batches:
        """`growth.images` training samples, drawn anew for each growth; at most half of the set,
        and all of that half for "auto", which takes from it what it needs.
        """
        return self._plain(self.dataset.train.take(self._drawn(epoch)[: self._images]))

    def searching(self, epoch: int) -> Batches:
        """As many others, 4,096 at most."""
        drawn = self._drawn(epoch)[self._images : self._images + min(self._images, SEARCHED)]
        return self._plain(self.dataset.train.take(drawn))

    def calibrating(self) -> Batches:
        """Some training images as they are, the same every time."""
        return self._plain(self.dataset.train.take(self._drawn(0)[:CALIBRATING]))

    def validation(self) -> Batches:
        """The part that was cut from train."""
        return self._plain(self.dataset.validation, 256)

    def test(self) -> Batches:
        """The part that is looked at once, at the end."""
        return self._plain(self.dataset.test, 256)

    @property
    def _images(self) -> int:
        half, wanted = len(self.dataset.train) // 2, self.recipe.growth.images
        return half if wanted == "auto" else min(wanted, half)

    @property
    def _training(self) -> Batches:
        how = self.recipe.training
        return Batches(
            self.dataset.train,
            self.dataset.mean,
            self.dataset.std,
            how.batch_size,
            shuffle=True,
            augment=Augment(pad=how.pad, flip=how.flip) if how.pad or how.flip else None,
            seed=self.recipe.seed,
            device=self.device,
            drop_last=len(self.dataset.train) >= how.batch_size,
        )

    def _plain(self, images: Images, batch_size: int = SCORED_AT_ONCE) -> Batches:
        data = self.dataset
        return Batches(images, data.mean, data.std, batch_size, device=self.device)

    def _drawn(self, epoch: int) -> torch.Tensor:
        seed = (self.recipe.seed << 16) + epoch
        generator = torch.Generator().manual_seed(seed)
        return torch.randperm(len(self.dataset.train), generator=generator)

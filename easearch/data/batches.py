"""Batches that can be passed over again: every pass gives the same ones, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from easearch.data.images import Images
from easearch.errors import DataError


@dataclass(frozen=True)
class Augment:
    """What happens to a training picture: a random shift, and mirroring.

    Shifts go up to `pad` pixels each way, black comes in; `flip` mirrors left to right, by a coin.
    """

    pad: int = 2
    flip: bool = True

    def __post_init__(self) -> None:
        if self.pad < 0:
            raise DataError(f"pad: expected pixels, at least 0, got {self.pad!r}.")


@dataclass(frozen=True, eq=False)
class Batches:
    """Iterates over (inputs, targets): float32 (N, C, H, W), channels last, normalised; int64 (N,).

    `mean` and `std` are a number a channel, for pixels scaled to 0..1. The order and the
    augmentation are a pure function of `seed` and `epoch`, the same on every device. `limit` keeps
    the first samples of the order only. The pictures move to `device` once, as bytes. Raises
    `DataError` for a number that makes no batches.
    """

    images: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch_size: int
    _: KW_ONLY
    shuffle: bool = False
    augment: Augment | None = None
    seed: int = 0
    epoch: int = 0
    device: str | torch.device = "cpu"
    drop_last: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "seed": 0, "epoch": 0, "limit": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise DataError(f"{name}: expected a number of at least {low}, got {value!r}.")
        channels = self.images.x.shape[1]
        if len(self.mean) != channels or len(self.std) != channels or min(self.std) <= 0:
            raise DataError(
                f"mean and std: expected {channels} numbers each, one a channel, std above 0, "
                f"got {self.mean} and {self.std}."
            )
        object.__setattr__(self, "images", self.images.to(self.device))

    @property
    def samples(self) -> int:
        """How many samples one pass gives."""
        count = len(self.images) if self.limit is None else min(self.limit, len(self.images))
        return count - count % self.batch_size if self.drop_last else count

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def at(self, epoch: int) -> Batches:
        """The same batches in the order, and with the augmentation, of another epoch."""
        return dataclasses.replace(self, epoch=epoch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = generator_of(self.seed, self.epoch)
        total = len(self.images)
        order = torch.randperm(total, generator=generator) if self.shuffle else torch.arange(total)
        x, y = self.images.x, self.images.y
        for start in range(0, self.samples, self.batch_size):
            end = min(start + self.batch_size, self.samples)
            chosen = order[start:end].to(x.device)
            pictures = x[chosen]
            if self.augment is not None:
                pictures = augmented(pictures, self.augment, generator)
            yield normalised(pictures, self.mean, self.std), y[chosen]


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """A generator for one epoch of one seed; neighbouring epochs and seeds share nothing."""
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint32)[0]
    return torch.Generator().manual_seed(int(mixed))


def normalised(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Bytes (N, C, H, W) -> (x / 255 - mean) / std, float32, channels last."""
    mean_C = torch.tensor(mean, dtype=torch.float32, device=x.device).view(1, -1, 1, 1)
    std_C = torch.tensor(std, dtype=torch.float32, device=x.device).view(1, -1, 1, 1)
    scaled = x.to(torch.float32, memory_format=torch.channels_last)
    return scaled.div_(255).sub_(mean_C).div_(std_C)


def augmented(x: Tensor, options: Augment, generator: torch.Generator) -> Tensor:
    """Shift and mirror every picture of (N, C, H, W) by draws of its own, from a CPU generator."""
    number, _, height, width = x.shape
    # drawn on the CPU and whatever the options, so that devices and options see one stream of draws
    down, right = torch.randint(2 * options.pad + 1, (2, number, 1), generator=generator)
    mirrored = torch.rand(number, 1, generator=generator) < 0.5
    rows, columns = down + torch.arange(height), torch.arange(width).expand(number, width)
    if options.flip:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    padded = F.pad(x, [options.pad] * 4).permute(0, 2, 3, 1)
    sample = torch.arange(number, device=x.device).view(-1, 1, 1)
    rows, columns = rows.to(x.device), (columns + right).to(x.device)
    return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

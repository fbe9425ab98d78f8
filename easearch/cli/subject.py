"""MODEL on the command line: a seed's name, a run folder, or `package.module:factory`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easearch.errors import GraphError, nearest, reason_of, shown

if TYPE_CHECKING:
    from torch import nn

    from easearch.structures import Structure

SIDE = 28
"""Pixels a side where nobody says: those of the embedded data."""
LARGEST_INPUT = 2**24
"""Numbers of one input."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model that the user named, and a sample that fits it."""

    name: str
    model: nn.Module
    sample: Structure

    @property
    def sizes(self) -> list[int]:
        """Of one input, without the batch; of several, of the first."""
        from easearch.structures import tensors

        return list(next(iter(tensors(self.sample))).shape[1:])


def find_subject(
    text: str, arguments: Mapping[str, Any], size: str | None, factory: str | None = None
) -> Subject:
    """The model that the text names, and a sample of `size` (`1x28x28`) or of what it learned from.

    `factory` makes the network of a run folder that is not of a seed. Raises `EasearchError` for a
    model that cannot be had, saying the nearest known name.
    """
    import torch

    from easearch.factories import FORM, find_factory, made
    from easearch.models import SEEDS

    if factory is not None and not is_folder(text):
        raise GraphError(f"--factory makes the network of a run folder, {shown(text)} is none")

    if text in SEEDS:
        shape = read_size(size) if size else (1, SIDE, SIDE)
        model = _made(text, {"channels": shape[0], **arguments})
        sample: Structure = torch.zeros(1, arguments.get("channels", shape[0]), *shape[1:])
    elif is_folder(text):
        model, sample = _from_run(Path(text), arguments, size, factory)
    elif ":" in text:
        model = made(find_factory(text), arguments, text)
        sample = torch.zeros(1, *read_size(size or ""))
    else:
        known = nearest(text, SEEDS)
        raise GraphError(f"expected a seed, a run folder, or {FORM}, got {shown(text)}; {known}")
    model.eval()
    return Subject(name=text, model=model, sample=sample)


def read_size(text: str) -> tuple[int, ...]:
    """`1x28x28` as numbers: channels, height, width."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,4}", text):
        raise GraphError(
            f"expected --input as channels x height x width, 3x224x224, got {shown(text)}"
        )
    shape = tuple(int(number) for number in text.split("x"))
    if math.prod(shape) > LARGEST_INPUT:
        raise GraphError(f"expected --input of {LARGEST_INPUT:,} numbers at most, got {text}")
    return shape


def is_folder(text: str) -> bool:
    """Whether a text is the path of a folder; a name that no file system takes is none."""
    try:
        return Path(text).is_dir()
    except OSError:
        return False


def _made(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    from easearch.models import build

    try:
        return build(name, **arguments)
    except (ValueError, TypeError, RuntimeError) as error:
        raise GraphError(f"{name}: {reason_of(error)}") from None


def _from_run(
    folder: Path, arguments: Mapping[str, Any], size: str | None, factory: str | None
) -> tuple[nn.Module, Structure]:
    import torch

    from easearch.growth.checkpoint import load, read_architecture

    if arguments:
        raise GraphError(
            f"--set changes a seed, but '{folder}' is a finished network; leave it out"
        )
    model = load(folder, factory=factory)
    if size:
        return model, torch.zeros(1, *read_size(size))
    return model, read_architecture(folder).sample()

"""Pictures that lie where they should not: in two parts, or in two classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from easearch.data.images import Images

Digests = dict[bytes, int]
"""Picture, as its digest -> class."""


def leaks(parts: Mapping[str, Images | None], classes: Sequence[str]) -> Iterator[str]:
    """A sentence for every two parts that share pictures, and one on pictures with two classes.

    Args:
        parts: by name, in the order in which they are told; None for one that is not there.
        classes: their names.
    """
    there = {name: digests(part) for name, part in parts.items() if part is not None}
    for one, other in combinations(there, 2):
        shared = len(there[one].keys() & there[other].keys())
        if shared:
            yield (
                f"{shared:,} pictures are both in {one} and in {other}: accuracy on {other} looks "
                "better than it is"
            )
    labels: dict[bytes, int] = {}
    twice: dict[bytes, tuple[int, int]] = {}
    for part in parts.values():
        for digest, label in [] if part is None else _pairs(part):
            if labels.setdefault(digest, label) != label:
                twice[digest] = (labels[digest], label)
    if twice:
        first, second = next(iter(twice.values()))
        yield (
            f"{len(twice):,} pictures have two classes, one of them '{classes[first]}' and "
            f"'{classes[second]}'"
        )


def digests(images: Images) -> Digests:
    """Every picture's digest and class; of pictures that are there twice, one."""
    return dict(_pairs(images))


def _pairs(images: Images) -> Iterator[tuple[bytes, int]]:
    for picture, label in zip(images.x, images.y.tolist(), strict=True):
        content = picture.contiguous().numpy().tobytes()
        yield hashlib.blake2b(content, digest_size=16).digest(), label

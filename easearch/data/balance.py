"""How many pictures every class has in every part, and what is odd about that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from easearch.data.images import Dataset, Images

UNEQUAL = 10
"""Times as many pictures, from which on two classes are called very unequal."""

FEW = 5
"""Validation pictures of a class, below which its share says little."""


def counts(images: Images, classes: Sequence[str]) -> list[int]:
    """Pictures of every class, in the order of the classes."""
    return torch.bincount(images.y, minlength=len(classes)).tolist()


def table(data: Dataset) -> list[tuple[str, int, int, int]]:
    """A row a class: its name, and its pictures in train, validation and test."""
    parts = (counts(part, data.classes) for part in (data.train, data.validation, data.test))
    return list(zip(data.classes, *parts, strict=True))


def remarks(train: Images, validation: Images, classes: Sequence[str]) -> Iterator[str]:
    """Sentences on very unequal classes, few pictures to judge by, and names that look alike."""
    learnt, judged = counts(train, classes), counts(validation, classes)
    most, least = max(learnt), min(learnt)
    if least and most >= UNEQUAL * least:
        first, last = classes[learnt.index(most)], classes[learnt.index(least)]
        yield (
            f"the classes are very unequal: '{first}' has {most:,} training pictures, '{last}' "
            f"{least:,}; accuracy counts pictures, so that small classes hardly count"
        )
    few = [name for name, count in zip(classes, judged, strict=True) if count < FEW]
    if few and len(validation):
        fewest = min(judged)
        of = f"{len(few):,} classes" if len(few) > 1 else "one class"
        yield (
            f"there are few validation pictures: {fewest} of '{classes[judged.index(fewest)]}', "
            f"fewer than {FEW} of {of}; validation accuracy is noisy"
        )
    known: dict[str, str] = {}
    for name in classes:
        other = known.setdefault(name.casefold(), name)
        if other != name:
            yield f"the classes '{other}' and '{name}' differ in case only: two classes are kept"

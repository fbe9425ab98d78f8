"""The pictures of every class, as a plan tells them: a sentence, and a table where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easearch.data import Dataset
from easearch.data.balance import table

MOST = 24
"""Classes in a table: of more, the smallest and the largest are told."""
ENDS = 5
"""How many of either."""


@dataclass(frozen=True, kw_only=True)
class ClassPlan:
    """Pictures of one class."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Train, validation, test."""
        return self.train, self.validation, self.test


def classes_of(data: Dataset) -> tuple[ClassPlan, ...]:
    """The counts of a data set, in the order of its classes."""
    return tuple(
        ClassPlan(name=name, train=train, validation=validation, test=test)
        for name, train, validation, test in table(data)
    )


def class_sentence(classes: Sequence[ClassPlan]) -> str:
    """How many classes and pictures there are."""
    if len({one.counts for one in classes}) == 1:
        train, validation, test = classes[0].counts
        each = " of each"
    else:
        train, validation, test = (
            sum(part) for part in zip(*(c.counts for c in classes), strict=True)
        )
        each = ""
    return (
        f"{len(classes):,} classes: {train:,} training, {validation:,} validation and {test:,} "
        f"test pictures{each}."
    )


def class_rows(classes: Sequence[ClassPlan]) -> list[tuple[str, ...]]:
    """A row a class, the head first; of many the smallest and largest; none if all are alike."""
    if len({one.counts for one in classes}) == 1:
        return []
    shown = list(classes)
    head = "class"
    if len(shown) > MOST:
        ordered = sorted(shown, key=lambda one: one.train)
        shown = [*ordered[:ENDS], *ordered[-ENDS:]]
        head = f"class ({ENDS} smallest, {ENDS} largest)"
    rows = [(one.name, *(f"{count:,}" for count in one.counts)) for one in shown]
    return [(head, "train", "validation", "test"), *rows]

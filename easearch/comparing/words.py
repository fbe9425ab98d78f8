"""What stands behind the colon of an arm: words between `+`, many of them KEY=VALUE.

Words that begin with `training.` are not the arm's but the judge's: they say how that arm alone is
trained (`uniform:training.rate=0.2`), so that each may be had at its best. What it may spend is the
same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from easearch.errors import FileFormatError, nearest, shown
from easearch.recipe.parts import TrainingPart
from easearch.untrusted import parse_yaml

BETWEEN, OWN = "+", "training."
EQUAL = frozenset({"epochs", "compute"})
"""Of `training`: the same for every arm."""


def parted(said: str) -> tuple[str | None, tuple[str, ...]]:
    """What the arm gets to read (None: nothing), and the words on its training."""
    words = said.split(BETWEEN)
    own = tuple(word for word in words if word.startswith(OWN))
    left = [word for word in words if not word.startswith(OWN)]
    return (BETWEEN.join(left) if left else None), own


def training_of(words: Sequence[str]) -> dict[str, Any]:
    """Dotted path in a recipe -> value.

    Raises:
        ValueError: with a sentence, if a word cannot be read.
    """
    found = {}
    fields = TrainingPart.model_fields.keys() - EQUAL
    for word in words:
        path, value = valued(word)
        field = path.removeprefix(OWN)
        if field in EQUAL:
            raise ValueError(f"expected the same {path} for all arms, got '{word}'")
        if field not in fields:
            raise ValueError(
                f"expected a field of training behind the colon, got '{field}'; "
                f"{nearest(field, fields)}"
            )
        found[path] = value
    return found


def valued(word: str) -> tuple[str, Any]:
    """The key of `KEY=VALUE`, and its value as YAML has it.

    Raises:
        ValueError: with a sentence, if it is none.
    """
    key, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"expected KEY=VALUE behind the colon, got '{word}'")
    try:
        return key, parse_yaml(value)
    except FileFormatError:
        raise ValueError(f"expected a value of {key} as YAML has it, got {shown(value)}") from None

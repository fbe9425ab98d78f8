"""What may stand behind the colon of an arm that grows: a criterion, other values of `growth` and,
by their full name, of `front`: `grow:neurons+at=[0.05,0.15]`, `grow:front.trunk=0.6`.
"""

from __future__ import annotations

from typing import Any

from easearch.comparing.words import BETWEEN, valued
from easearch.errors import nearest

SHARED = frozenset({"growth.width_step", "growth.widths"})
"""What a comparison settles for all of its arms."""


def changes_of(option: str | None) -> dict[str, Any]:
    """Dotted path in a recipe -> value.

    Raises:
        ValueError: with a sentence, if it cannot be read.
    """
    from easearch.scoring import CRITERIA

    found: dict[str, Any] = {}
    for number, word in enumerate(option.split(BETWEEN) if option is not None else ()):
        if number == 0 and word in CRITERIA:
            found["growth.criterion"] = word
            continue
        if number == 0 and "=" not in word:
            raise ValueError(
                f"expected a criterion or KEY=VALUE behind the colon, got '{word}'; "
                f"{nearest(word, CRITERIA)}"
            )
        key, value = valued(word)
        found[_path(key)] = value
    return found


def _path(key: str) -> str:
    from easearch.recipe.limits import FrontPart
    from easearch.recipe.parts import GrowthPart

    path = key if key.startswith("front.") else f"growth.{key}"
    part, field = path.split(".")[:2]
    if path in SHARED:
        raise ValueError(f"expected the same {path} for all arms, got another behind the colon")
    fields = (FrontPart if part == "front" else GrowthPart).model_fields
    if field not in fields:
        raise ValueError(
            f"expected a field of {part} behind the colon, got '{key}'; {nearest(field, fields)}"
        )
    return path


def refused(option: str | None) -> str | None:
    """Why this cannot stand behind the colon; None where it can."""
    try:
        changes_of(option)
    except ValueError as error:
        return str(error)
    return None

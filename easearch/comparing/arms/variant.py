"""What may stand behind the colon of an arm that grows: a criterion, other values of `growth` and,
by their full name, of `front`: `grow:neurons+at=[0.05,0.15]`, `grow:front.trunk=0.6`.
"""

from __future__ import annotations

from typing import Any

import yaml

from easearch.errors import nearest

BETWEEN = "+"


def changes_of(option: str | None) -> dict[str, Any]:
    """Dotted path in a recipe -> value.

    Raises:
        ValueError: with a sentence, if it cannot be read.
    """
    from easearch.scoring import CRITERIA

    found: dict[str, Any] = {}
    for number, said in enumerate(option.split(BETWEEN) if option is not None else ()):
        key, equals, value = said.partition("=")
        if not equals:
            if number > 0 or said not in CRITERIA:
                wanted = "expected KEY=VALUE" if number else "expected a criterion or KEY=VALUE"
                raise ValueError(
                    f"{wanted} behind the colon, got '{said}'; {nearest(said, CRITERIA)}"
                )
            found["growth.criterion"] = said
            continue
        try:
            found[_path(key)] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"expected a value of {key} as YAML has it, got '{value}'") from None
    return found


def _path(key: str) -> str:
    from easearch.recipe.limits import FrontPart
    from easearch.recipe.parts import GrowthPart

    path = key if key.startswith("front.") else f"growth.{key}"
    part, field = path.split(".")[:2]
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

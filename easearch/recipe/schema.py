"""What the sections say of the field at a path: its type and its default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from easearch.recipe.section import Part


def is_part(kind: Any) -> bool:
    """Whether a field of this type is a section."""
    return isinstance(kind, type) and issubclass(kind, Part)


def annotation(root: type[Part], keys: Sequence[str]) -> Any:
    """The type that a recipe gives to the field at a path; None where it has none."""
    now: Any = root
    for key in keys:
        if is_part(now):
            field = now.model_fields.get(key)
            now = field.annotation if field else None
        else:
            now = (get_args(now) or (None,))[-1]
    return now


def default_at(root: type[Part], keys: Sequence[str]) -> Any:
    """What stands at a path when nothing is said: a list, or a section with all its defaults."""
    section = annotation(root, keys[:-1])
    field = section.model_fields.get(keys[-1]) if is_part(section) else None
    default = getattr(field, "default", None)
    return list(default) if isinstance(default, tuple) else {}

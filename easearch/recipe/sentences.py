"""From a validation error to one sentence: the path of the key, what was expected, what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from easearch.errors import nearest
from easearch.recipe.schema import annotation, is_part
from easearch.recipe.section import Part


def sentence(root: type[Part], error: ValidationError, values: Any) -> str:
    """What is wrong with the values for a recipe of type `root`, the likeliest cause alone."""
    # a mistyped key is a missing one too: the typing error is what the user made
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    return _told(root, found[0], values)


def _told(root: type[Part], error: ErrorDetails, values: Any) -> str:
    keys, now = [], values
    for key in error["loc"]:
        # pydantic appends the tried member of a union; a value without keys ends the real path
        if not isinstance(now, dict | list):
            break
        keys.append(str(key))
        now = now.get(key) if isinstance(now, dict) else _item(now, key)
    inner = error.get("ctx", {}).get("place", "")
    place = ".".join([*keys, inner] if inner else keys)
    return f"{place}: {_reason(root, error, keys)}" if place else _reason(root, error, keys)


def _item(values: list[Any], index: int | str) -> Any:
    return values[index] if isinstance(index, int) and index < len(values) else None


def _reason(root: type[Part], error: ErrorDetails, keys: Sequence[str]) -> str:
    kind, got = error["type"], error["input"]
    section = annotation(root, keys[:-1])
    fields = section.model_fields if is_part(section) else {}
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(keys[-1], fields)}"
    if kind == "missing":
        return f"missing; expected the {fields[keys[-1]].description}"
    if kind == "easearch":
        return error["msg"]
    if kind == "literal_error":
        return f"expected {error['ctx']['expected']}, got {got!r}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"expected keys with values, got {got!r}"
    if kind in {"tuple_type", "list_type"}:
        return f"expected a list, such as [0.5, 1.0], got {got!r}"
    wanted = error["msg"].removeprefix("Input should be ").partition(", ")[0]
    if wanted.startswith(("greater", "less", "finite")):
        wanted = f"a value {wanted}"
    return f"expected {wanted[0].lower()}{wanted[1:]}, got {got!r}"

"""From a validation error to one sentence: the path of the key, what was expected, what came.

Wrong keys are told all together, and so are wrong values; a wrong key may hide a value that is then
missing, so that wrong keys come first and alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from easearch.errors import nearest, shown
from easearch.recipe.hints import hint
from easearch.recipe.schema import annotation, is_part
from easearch.recipe.section import Part

MOST = 6
"""Faults that one sentence tells."""


def sentence(root: type[Part], error: ValidationError, values: Any) -> str:
    """What is wrong with the values for a recipe of type `root`, all that the user made wrong."""
    found = error.errors()
    wrong = [one for one in found if one["type"] == "extra_forbidden"]
    if len(wrong) > 1:
        return f"expected known keys, got {_listed([_key(root, one) for one in wrong])}"
    told: dict[str, str] = {}
    for one in wrong or found:
        place = _place(one, values)
        # the members of a union are tried one by one: the first tells enough
        told.setdefault(".".join(place), _told(root, one, place))
    return _listed(list(told.values()), "; ")


def _listed(parts: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(parts) - MOST} more" if len(parts) > MOST else ""
    return between.join(parts[:MOST]) + more


def _key(root: type[Part], error: ErrorDetails) -> str:
    """A wrong key among several: `training.epoch (did you mean 'epochs'?)`."""
    keys = [str(key) for key in error["loc"]]
    return f"{_dotted(keys)} ({_meant(root, keys).rstrip('.')})"


def _told(root: type[Part], error: ErrorDetails, keys: Sequence[str]) -> str:
    inner = error.get("ctx", {}).get("place", "")
    place = _dotted([*keys, inner] if inner else keys)
    reason = _reason(root, error, keys)
    return f"{place}: {reason}" if place else reason


def _dotted(keys: Sequence[str]) -> str:
    return ".".join(shown(key)[1:-1] for key in keys)


def _place(error: ErrorDetails, values: Any) -> list[str]:
    """The keys that lead to what is wrong, as far as the values have them."""
    keys, now = [], values
    for key in error["loc"]:
        # pydantic appends the tried member of a union; a value without keys ends the real path
        if not isinstance(now, dict | list):
            break
        keys.append(str(key))
        now = now.get(key) if isinstance(now, dict) else _item(now, key)
    return keys


def _item(values: list[Any], index: int | str) -> Any:
    return values[index] if isinstance(index, int) and index < len(values) else None


def _meant(root: type[Part], keys: Sequence[str]) -> str:
    """What an unknown key may stand for."""
    section = annotation(root, keys[:-1])
    fields = section.model_fields if is_part(section) else {}
    slip = difflib.get_close_matches(keys[-1], fields, n=1, cutoff=0.8)
    return ("" if slip else hint(root, keys)) or nearest(keys[-1], fields)


def _reason(root: type[Part], error: ErrorDetails, keys: Sequence[str]) -> str:
    kind, got = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {_meant(root, keys)}"
    if kind == "missing":
        section = annotation(root, keys[:-1])
        return f"missing; expected the {section.model_fields[keys[-1]].description}"
    if kind == "easearch":
        return error["msg"]
    if kind == "literal_error":
        return f"expected {error['ctx']['expected']}, got {shown(got)}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"expected keys with values, got {shown(got)}"
    if kind in {"tuple_type", "list_type"}:
        return f"expected a list, such as [0.5, 1.0], got {shown(got)}"
    if kind in {"too_long", "too_short"}:
        most = error["ctx"].get("max_length")
        bound = f"{most} at most" if most is not None else f"at least {error['ctx']['min_length']}"
        return f"expected {bound}, got {error['ctx']['actual_length']}"
    wanted = error["msg"].removeprefix("Input should be ").partition(", ")[0]
    if wanted.startswith(("greater", "less", "finite")):
        wanted = f"a value {wanted}"
    return f"expected {wanted[0].lower()}{wanted[1:]}, got {shown(got)}"

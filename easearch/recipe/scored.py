"""The criterion of a recipe: a name, or a name and options, checked and built.

Options are the fields of the criterion and have the types that these say. `growth.step` is handed
on where a criterion has such an option, and so is, for `layers`, that there may be new layers.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from easearch.errors import EasearchError, RecipeError, nearest, shown
from easearch.recipe.section import fault, known

if TYPE_CHECKING:
    from easearch.recipe.parts import GrowthPart
    from easearch.roles import Criterion

NAME, DEFAULT = "name", "births"
OFFERED = 100
"""New layers that a criterion tells of at most, for a growth to choose from."""


def checked_criterion(said: Any) -> str | dict[str, Any]:
    """A name alone, or `{name: unit, c: 3.0}`; faults name the option."""
    from easearch.scoring import CRITERIA

    if isinstance(said, str):
        return known("criterion", said, CRITERIA)
    if not isinstance(said, Mapping):
        raise fault(f"expected a name or {{name: unit, c: 3.0}}, got {shown(said)}")
    options = {str(key): value for key, value in said.items()}
    name = options.pop(NAME, DEFAULT)
    if not isinstance(name, str):
        raise fault(f"expected a criterion's name, got {shown(name)}", NAME)
    known("criterion", name, CRITERIA, NAME)
    options = {key: _value(name, key, value) for key, value in options.items()}
    why = _refused(name, options)
    if why is not None:
        alone = ((key, _refused(name, {key: value})) for key, value in options.items())
        key, why = next(((key, found) for key, found in alone if found is not None), ("", why))
        raise fault(why, key)
    return {NAME: name, **options} if options else name


def name_and_options(said: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The two, of what `checked_criterion` gave."""
    if isinstance(said, str):
        return said, {}
    return str(said[NAME]), {key: value for key, value in said.items() if key != NAME}


def options_of(name: str) -> dict[str, Any]:
    """What can be said of a criterion: option -> its type (None: not known)."""
    from easearch.scoring import CRITERIA

    taken = inspect.signature(CRITERIA[name]).parameters.values()
    try:
        hints = {one: hint for kind in _kinds(CRITERIA[name]()) for one, hint in kind.items()}
    except TypeError:  # it cannot be made without options
        hints = {}
    if inspect.isfunction(CRITERIA[name]):
        hints |= typing.get_type_hints(CRITERIA[name])
    named = {one.name: hints.get(one.name) for one in taken if one.kind is not one.VAR_KEYWORD}
    if len(named) < len(taken):  # the rest is handed on to the criterion within
        rest = hints.keys() - {"return"} - {one.name for one in taken}
        return {**named, **{key: hints[key] for key in hints if key in rest}}
    return named


def offers_layers(name: str) -> bool:
    """Whether a criterion finds new layers: it has an option that says how many."""
    return "layers" in options_of(name)


def built_criterion(growth: GrowthPart) -> Criterion:
    """The criterion that a recipe asks for.

    Raises:
        RecipeError: its options do not go together with `growth.step`.
    """
    from easearch.scoring import CRITERIA

    name, options = name_and_options(growth.criterion)
    # More layers than may come in: the best may be too dear for the limits, another is not.
    shared = {"step": growth.step, "layers": OFFERED if growth.layers else 0}
    within = options.get("of")  # of a placebo, which hands on what is shared
    there = options_of(within if within in CRITERIA else name)
    own = {key: value for key, value in shared.items() if key in there}
    try:
        return CRITERIA[name](**{**own, **options})
    except (EasearchError, ValueError, TypeError) as error:
        raise RecipeError(f"growth.criterion: {error}") from None


def _kinds(criterion: Any) -> Iterator[dict[str, Any]]:
    """The types of the fields of a criterion, and of one that it wraps, the outer's last."""
    if not dataclasses.is_dataclass(criterion):
        return
    fields = [field.name for field in dataclasses.fields(criterion) if field.init]
    within = [name for name in fields if hasattr(getattr(criterion, name), "score")]
    for name in within:
        yield from _kinds(getattr(criterion, name))
    try:
        hints = typing.get_type_hints(type(criterion))
    except NameError:  # another package's, with names that exist for type checkers alone
        hints = {}
    yield {name: hints.get(name) for name in fields if name not in within}


def _value(name: str, option: str, said: Any) -> Any:
    """What was said, in the option's type."""
    there = options_of(name)
    if option not in there:
        raise fault(f"unknown option of {name}; {nearest(option, (NAME, *there))}", option)
    if there[option] is None:
        return said
    try:
        value = TypeAdapter(there[option]).validate_python(said)
    except PydanticSchemaGenerationError:  # a type of another package's own: it checks itself
        return said
    except ValidationError as error:
        first = error.errors()[0]
        wanted = first["msg"].removeprefix("Input should be ")
        if first["type"].endswith("_parsing"):
            wanted = wanted.partition(", ")[0]
        raise fault(
            f"expected {wanted[0].lower()}{wanted[1:]}, got {shown(said)}", option
        ) from None
    if isinstance(said, bool) and not isinstance(value, bool):
        raise fault(f"expected a number, got {str(said).lower()}", option)
    return list(value) if isinstance(value, tuple) else value


def _refused(name: str, options: Mapping[str, Any]) -> str | None:
    """Why the criterion cannot be made with these options; None where it can, or has none."""
    from easearch.scoring import CRITERIA

    try:
        if options:
            CRITERIA[name](**options)
    except (EasearchError, ValueError, TypeError) as error:
        return str(error)
    return None

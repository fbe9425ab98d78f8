"""From files to values: what a recipe `extends` lies under it, overrides lie over it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easearch.errors import FileFormatError, RecipeError, nearest, shown
from easearch.untrusted import name_of, parse_yaml, read_yaml

SHORT: dict[tuple[str, ...], str] = {("growth", "criterion"): "name"}
"""Fields that may be a word in place of keys, and the key that the word is the value of."""
Default = Callable[[Sequence[str]], Any]
"""The value that stands at a path of keys when nothing is said of it."""
MOST_FILES, MOST_BASES = 64, 16
"""Files that a recipe may rest on in all, and on the way to the farthest."""
MOST_OVERRIDES, LONGEST_PATH = 1000, 500
"""Overrides of one recipe, and characters of a dotted path."""


def gathered(
    file: Path, above: tuple[Path, ...] = (), known: dict[Path, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The values of a file, laid over those of the file (or files, in turn) that it extends.

    Args:
        file: a recipe.
        above: the files that extend it, the first one first.
        known: what was read before: a file that several extend is read once.
    """
    known = {} if known is None else known
    _existing(file, "", what="recipe")
    place = file.resolve()
    if place in above:
        raise RecipeError(f"{file}: extends: a loop, it extends itself through {above[-1].name}")
    if place in known:
        return known[place]
    if len(above) >= MOST_BASES or len(known) >= MOST_FILES:
        raise RecipeError(
            f"{file}: extends: expected {MOST_FILES} files at most, {MOST_BASES} in a row, got more"
        )
    values = _parsed(file)
    bases = values.pop("extends", None) or []
    # a variant that says no name would otherwise go under its base's
    values.setdefault("name", name_of(file.stem))
    if isinstance(values.get("evidence"), str):
        evidence = _joined(file, values["evidence"], "evidence")
        if not above:  # what a base names may be taken away or replaced by who extends it
            _existing(evidence, f"{file}: evidence")
        values["evidence"] = str(evidence.resolve())
    under: dict[str, Any] = {}
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise RecipeError(f"{file}: extends: expected the path of a recipe, got {shown(base)}")
        below = _existing(_joined(file, base, "extends"), f"{file}: extends")
        under = _laid_over(under, gathered(below, (*above, place), known))
    known[place] = _laid_over(under, values)
    return known[place]


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """Turn `["training.epochs=2"]` into `{"training.epochs": 2}`; values are YAML."""
    found: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        dotted = path.strip()
        if not equals or not dotted:
            raise RecipeError(f"expected field=value, got {shown(word)}; say for example seed=1")
        if dotted in found:
            raise RecipeError(f"{shown(dotted)[1:-1]}: is set twice; keep one")
        try:
            found[dotted] = parse_yaml(text)
        except FileFormatError as error:
            told = str(error).removeprefix("line 1: ").removeprefix("not valid YAML, ")
            raise RecipeError(
                f"{shown(dotted)[1:-1]}: expected a YAML value, got {shown(text)} ({told})"
            ) from None
    return found


def put(values: dict[str, Any], dotted: str, value: Any, *, default: Default, source: str) -> None:
    """Set the value at a dotted path; sections that are left to their defaults come to stand."""
    if len(dotted) > LONGEST_PATH:
        raise RecipeError(f"{source}: expected the dotted path of a field, got {shown(dotted)}")
    keys, now = dotted.split("."), values
    for done, key in enumerate(keys[:-1], start=1):
        slot = _slot(now, key, dotted, source)
        if isinstance(now, dict):
            there = now.get(key)
            now[key] = default(keys[:done]) if there is None else _in_full(keys[:done], there)
        now = now[slot]
    now[_slot(now, keys[-1], dotted, source)] = copy.deepcopy(value)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        values = read_yaml(file)
    except FileFormatError as error:
        raise RecipeError(f"{file}: {error}") from None
    except OSError as error:
        raise RecipeError(f"{file}: expected a recipe, got {error.strerror or error}") from None
    if not isinstance(values, dict):
        kind = "nothing" if values is None else shown(values)
        raise RecipeError(f"{file}: expected keys with values, such as `seed: 0`, got {kind}")
    return values


def _joined(file: Path, name: str, key: str) -> Path:
    """The file of that name, seen from the folder of another."""
    if not name.isprintable() or len(name) > LONGEST_PATH:
        raise RecipeError(f"{file}: {key}: expected the path of a file, got {shown(name)}")
    return file.parent / name


def _existing(file: Path, where: str, what: str = "file") -> Path:
    """The path, if something is there: whether it can be read shows when it is."""
    if _there(file):
        return file
    before = f"{where}: " if where else ""
    if not _there(file.parent):
        raise RecipeError(f"{before}no {what} at {file}; there is no folder {file.parent}")
    there = [p.name for p in file.parent.iterdir() if p.suffix in {file.suffix, ".yaml", ".yml"}]
    raise RecipeError(f"{before}no {what} at {file}; {nearest(file.name, there)}")


def _there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a name that no file system takes
        return False


def _laid_over(
    base: dict[str, Any], values: Mapping[str, Any], at: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Mappings merge, everything else is replaced; null takes away what the base says."""
    result = dict(base)
    for key, value in values.items():
        path = (*at, str(key))
        under = _in_full(path, base.get(key))
        if isinstance(value, Mapping) and isinstance(under, dict):
            result[key] = _laid_over(under, value, path)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _in_full(path: Sequence[str], value: Any) -> Any:
    """A value with its keys, where it may be a word in their place."""
    short = SHORT.get(tuple(path))
    return {short: value} if short is not None and isinstance(value, str) else value


def _slot(now: Any, key: str, dotted: str, source: str) -> Any:
    if isinstance(now, dict):
        return key
    if not isinstance(now, list):
        raise RecipeError(f"{source}: {dotted}: there is no '{key}' in the value {shown(now)}")
    if not (key.isascii() and key.isdecimal()) or len(key) > 9 or int(key) >= len(now):
        wanted = f"expected an index from 0 to {len(now) - 1}"
        raise RecipeError(f"{source}: {dotted}: {wanted}, got '{key}'")
    return int(key)

"""From files to values: what a recipe `extends` lies under it, overrides lie over it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from easearch.errors import RecipeError, nearest

SHORT: dict[tuple[str, ...], str] = {("growth", "criterion"): "name"}
"""Fields that may be a word in place of keys, and the key that the word is the value of."""
Default = Callable[[Sequence[str]], Any]
"""The value that stands at a path of keys when nothing is said of it."""


def gathered(file: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a file, laid over those of the file (or files, in turn) that it extends."""
    if file.resolve() in above:
        raise RecipeError(f"{file}: extends: a loop, it extends itself through {above[-1].name}")
    values = _parsed(file)
    bases = values.pop("extends", None) or []
    # a variant that says no name would otherwise go under its base's
    values.setdefault("name", file.stem)
    if isinstance(values.get("evidence"), str):
        values["evidence"] = str(_existing(file.parent / values["evidence"], f"{file}: evidence"))
    under: dict[str, Any] = {}
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise RecipeError(f"{file}: extends: expected the path of a recipe, got {base!r}")
        _existing(file.parent / base, f"{file}: extends")
        under = _laid_over(under, gathered(file.parent / base, (*above, file.resolve())))
    return _laid_over(under, values)


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """Turn `["training.epochs=2"]` into `{"training.epochs": 2}`; values are YAML."""
    found: dict[str, Any] = {}
    for word in words:
        dotted, equals, text = word.partition("=")
        if not equals or not dotted.strip():
            raise RecipeError(f"expected field=value, got '{word}'; say for example seed=1")
        try:
            found[dotted.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(f"{dotted.strip()}: expected a YAML value, got '{text}'") from None
    return found


def put(values: dict[str, Any], dotted: str, value: Any, *, default: Default, source: str) -> None:
    """Set the value at a dotted path; sections that are left to their defaults come to stand."""
    keys, now = dotted.split("."), values
    for done, key in enumerate(keys[:-1], start=1):
        slot = _slot(now, key, dotted, source)
        if isinstance(now, dict):
            there = now.get(key)
            now[key] = default(keys[:done]) if there is None else _in_full(keys[:done], there)
        now = now[slot]
    now[_slot(now, keys[-1], dotted, source)] = copy.deepcopy(value)


def _parsed(file: Path) -> dict[str, Any]:
    _existing(file, "", what="recipe")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{file}: line {line}: not valid YAML, {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{file}: expected a YAML file in UTF-8, got {error}") from None
    if not isinstance(values, dict):
        kind = "nothing" if values is None else f"a {type(values).__name__}"
        raise RecipeError(f"{file}: expected keys with values, such as `seed: 0`, got {kind}")
    return {str(key): value for key, value in values.items()}


def _existing(file: Path, where: str, what: str = "file") -> Path:
    if file.is_file():
        return file.resolve()
    before = f"{where}: " if where else ""
    if not file.parent.is_dir():
        raise RecipeError(f"{before}no {what} at {file}; there is no folder {file.parent}")
    there = [p.name for p in file.parent.iterdir() if p.suffix in {file.suffix, ".yaml", ".yml"}]
    raise RecipeError(f"{before}no {what} at {file}; {nearest(file.name, there)}")


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
        raise RecipeError(f"{source}: {dotted}: there is no '{key}' in the value {now!r}")
    if not key.isdecimal() or int(key) >= len(now):
        wanted = f"expected an index from 0 to {len(now) - 1}"
        raise RecipeError(f"{source}: {dotted}: {wanted}, got '{key}'")
    return int(key)

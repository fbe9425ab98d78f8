"""Read a run folder, as complete or as broken as it is. What is missing is said, not guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from easearch.errors import FileFormatError, reason_of
from easearch.growth.events import Epoch, Step
from easearch.recipe.recipe import points_of
from easearch.reporting.files import Certificate, Evidence, Facts, Layers, Point, Recipe
from easearch.untrusted import parse_json, parse_yaml, read_bytes, read_json, read_text

File = TypeVar("File", bound=BaseModel)
Row = TypeVar("Row")
TOLD = 5
"""Damaged lines, or numbers that are none, that the page names of a file."""


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run as its folder tells it; `gaps` are sentences about what could not be read."""

    recipe: Recipe
    facts: Facts
    history: tuple[Epoch, ...]
    steps: tuple[Step, ...]
    layers: Layers | None
    certificate: Certificate | None
    evidence: Evidence | None
    gaps: tuple[str, ...]
    place: tuple[int, int] | None = None
    """Of a network of a front: the number of its limit, from 1, and how many there are."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One network of a front, and the epochs on the way to it, those of the trunk first."""

    point: Point
    history: tuple[Epoch, ...]


@dataclass(frozen=True, kw_only=True)
class FrontFolder:
    """A run of several limits as its folder tells it."""

    recipe: Recipe
    facts: Facts
    branches: tuple[Branch, ...]
    evidence: Evidence | None
    gaps: tuple[str, ...]


def is_front(path: Path) -> bool:
    """Whether the folder holds the networks of several limits; False where it cannot be told."""
    try:
        told = read_json(path / "run.json")
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and bool(told.get("front"))


def read_front(path: Path) -> FrontFolder:
    """Read the run of several limits in folder `path`; the folder of a network may be damaged.

    Raises:
        FileFormatError: `recipe.yaml` or `run.json` is missing or damaged.
    """
    gaps: list[str] = []
    recipe, facts = _recipe_and_facts(path, gaps)
    branches = []
    for point in facts.front:
        broken: list[str] = []
        what = f"the way to {point.folder}"
        rows = _rows(path / point.folder / "history.jsonl", Epoch, what, broken)
        branches.append(Branch(point=point, history=rows))
        gaps += [f"In {point.folder}: {gap[:1].lower()}{gap[1:]}" for gap in broken]
    return FrontFolder(
        recipe=recipe,
        facts=facts,
        branches=tuple(branches),
        evidence=_evidence(path, recipe, gaps),
        gaps=tuple(gaps),
    )


def read_run(path: Path) -> RunFolder:
    """Read the run in folder `path`.

    Raises:
        FileFormatError: `recipe.yaml` or `run.json` is missing or damaged: it is no run.
    """
    gaps: list[str] = []
    recipe, facts = _recipe_and_facts(path, gaps)
    return RunFolder(
        recipe=recipe,
        facts=facts,
        history=_rows(path / "history.jsonl", Epoch, "the curve of the run", gaps),
        steps=_rows(path / "steps.jsonl", Step, "the growth rounds and the widths", gaps),
        layers=_optional(path / "layers.json", Layers, "the cost of the layers", gaps),
        certificate=_certificate(path / "certificate.json", gaps),
        evidence=_evidence(path, recipe, gaps),
        gaps=tuple(gaps),
        place=_place(path, recipe),
    )


def _recipe_and_facts(path: Path, gaps: list[str]) -> tuple[Recipe, Facts]:
    recipe = _required(path / "recipe.yaml", _recipe)
    return recipe, _required(path / "run.json", lambda file: _json(file, Facts, gaps))


def _place(path: Path, recipe: Recipe) -> tuple[int, int] | None:
    """Which network of a front this folder has, by its name and the recipe's lists of limits."""
    named, count = re.fullmatch(r"limit-(\d+)", path.resolve().name), points_of(recipe.values)
    return (int(named.group(1)), count) if named and count > 1 else None


def _required(file: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(file)
    except FileNotFoundError:
        raise FileFormatError(
            f"expected a run folder with '{file.name}' in it, got '{file.parent}' without; "
            f"give a folder that `easearch grow` has written."
        ) from None
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"'{file}' cannot be read ({_reason(error)}); "
            f"put back the file as the run wrote it, or run again."
        ) from None


def _optional(file: Path, kind: type[File], what: str, gaps: list[str]) -> File | None:
    try:
        return _json(file, kind, gaps)
    except FileNotFoundError:
        gaps.append(f"{file.name} is missing: {what} cannot be shown.")
    except (OSError, ValueError) as error:
        gaps.append(f"{file.name} is damaged ({_reason(error)}): {what} cannot be shown.")
    return None


def _certificate(file: Path, gaps: list[str]) -> Certificate | None:
    """The certificate; one with a number that is not finite proves nothing."""
    odd: list[str] = []
    found = _optional(file, Certificate, "the certificate", odd)
    gaps += odd
    return None if odd else found


def _evidence(path: Path, recipe: Recipe, gaps: list[str]) -> Evidence | None:
    file = path / "evidence.json"
    if recipe.evidence is None and not file.exists():
        return None
    return _optional(file, Evidence, "the comparison", gaps)


def _rows(file: Path, kind: type[Row], what: str, gaps: list[str]) -> tuple[Row, ...]:
    """Every row that is whole: the last line of an interrupted run may not be."""
    try:
        lines = read_bytes(file).decode(errors="replace").splitlines()
    except (OSError, FileFormatError) as error:
        why = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({_reason(error)})"
        gaps.append(f"{file.name} is {why}: {what} cannot be shown.")
        return ()
    adapter = TypeAdapter(kind)
    rows: list[Row] = []
    broken: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.append(
                    adapter.validate_python(_finite(parse_json(line, finite=False), [], ""))
                )
        except ValueError as error:
            broken.append(f"Line {number} of {file.name} is damaged ({_reason(error)}): left out.")
    gaps += broken[:TOLD]
    if len(broken) > TOLD:
        gaps.append(f"So are {len(broken) - TOLD:,} more of its lines.")
    return tuple(rows)


def _json(file: Path, kind: type[File], gaps: list[str]) -> File:
    """The file's contents; numbers that are not finite are left out, and said."""
    odd: list[str] = []
    values = _finite(read_json(file, finite=False), odd, "")
    if odd:
        more = f" and {len(odd) - TOLD:,} more" if len(odd) > TOLD else ""
        gaps.append(f"{file.name} has no number for {', '.join(odd[:TOLD])}{more}: left out.")
    return kind.model_validate(values)


def _finite(value: Any, odd: list[str], place: str) -> Any:
    """The value without the entries that are NaN or infinite; their places go to `odd`."""
    if isinstance(value, list):
        return [_finite(one, odd, f"{place}.{n}") for n, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        if isinstance(one, float) and not math.isfinite(one):
            odd.append(f"{place}.{key}".lstrip("."))
        else:
            kept[key] = _finite(one, odd, f"{place}.{key}")
    return kept


def _recipe(file: Path) -> Recipe:
    text = read_text(file)
    data = parse_yaml(text)
    if not isinstance(data, dict):
        raise ValueError("expected keys and values")
    return Recipe.model_validate({**data, "text": text, "values": data})


def _reason(error: Exception) -> str:
    """The cause in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return reason_of(error)

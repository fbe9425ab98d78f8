"""Read a run folder, as complete or as broken as it is. What is missing is said, not guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from easearch.errors import FileFormatError
from easearch.growth.events import Epoch, Step
from easearch.reporting.files import Certificate, Evidence, Facts, Layers, Recipe

File = TypeVar("File", bound=BaseModel)
Row = TypeVar("Row")


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


def read_run(path: Path) -> RunFolder:
    """Read the run in folder `path`.

    Raises:
        FileFormatError: `recipe.yaml` or `run.json` is missing or damaged: it is no run.
    """
    gaps: list[str] = []
    recipe = _required(path / "recipe.yaml", _recipe)
    return RunFolder(
        recipe=recipe,
        facts=_required(path / "run.json", lambda file: _json(file, Facts)),
        history=_rows(path / "history.jsonl", Epoch, "the curve of the run", gaps),
        steps=_rows(path / "steps.jsonl", Step, "the growth rounds and the widths", gaps),
        layers=_optional(path / "layers.json", Layers, "the cost of the layers", gaps),
        certificate=_optional(path / "certificate.json", Certificate, "the certificate", gaps),
        evidence=_evidence(path, recipe, gaps),
        gaps=tuple(gaps),
    )


def _required(file: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(file)
    except FileNotFoundError:
        raise FileFormatError(
            f"expected a run folder with '{file.name}' in it, got '{file.parent}' without; "
            f"give a folder that `easearch grow` has written."
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FileFormatError(
            f"'{file}' cannot be read ({_reason(error)}); "
            f"put back the file as the run wrote it, or run again."
        ) from None


def _optional(file: Path, kind: type[File], what: str, gaps: list[str]) -> File | None:
    try:
        return _json(file, kind)
    except FileNotFoundError:
        gaps.append(f"{file.name} is missing: {what} cannot be shown.")
    except (OSError, ValueError) as error:
        gaps.append(f"{file.name} is damaged ({_reason(error)}): {what} cannot be shown.")
    return None


def _evidence(path: Path, recipe: Recipe, gaps: list[str]) -> Evidence | None:
    file = path / "evidence.json"
    if recipe.evidence is None and not file.exists():
        return None
    return _optional(file, Evidence, "the comparison", gaps)


def _rows(file: Path, kind: type[Row], what: str, gaps: list[str]) -> tuple[Row, ...]:
    """Every row that is whole: the last line of an interrupted run may not be."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        gaps.append(f"{file.name} is missing: {what} cannot be shown.")
        return ()
    adapter = TypeAdapter(kind)
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.append(adapter.validate_python(json.loads(line)))
        except (ValueError, RecursionError) as error:
            gaps.append(f"Line {number} of {file.name} is damaged ({_reason(error)}): left out.")
    return tuple(rows)


def _json(file: Path, kind: type[File]) -> File:
    return kind.model_validate(json.loads(file.read_text(encoding="utf-8")))


def _recipe(file: Path) -> Recipe:
    text = file.read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    if not isinstance(data, dict):
        raise ValueError("expected keys and values")
    return Recipe.model_validate({**data, "text": text})


def _reason(error: Exception) -> str:
    """The cause in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at line {error.lineno}, column {error.colno}"
    return " ".join(str(error).split()) or type(error).__name__

"""What a run leaves behind, as plain files: the curve, the growth rounds, the layers' costs, the
summary.
"""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from easearch.budget.store import json_text, write_atomic
from easearch.errors import RecipeError, reason_of
from easearch.graph import Graph
from easearch.growth.events import Epoch, Step
from easearch.recipe import Recipe
from easearch.reporting.files import Evidence
from easearch.roles import Meter
from easearch.untrusted import read_json

PACKAGES = ("easearch", "torch", "torchvision", "onnx", "onnxruntime", "numpy", "scipy")


EVIDENCE = "evidence.json"
EVIDENCE_BYTES = 1_000_000
"""No evidence is larger."""


def write_rows(path: Path, rows: Iterable[Epoch | Step]) -> None:
    """One JSON object a line, whole or not at all."""
    write_atomic(path, "".join(json_text(asdict(row), None) for row in rows))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON object, indented, whole or not at all."""
    write_atomic(path, json_text(content))


def evidence_of(recipe: Recipe) -> dict[str, Any] | None:
    """The evidence that a recipe names; None where it names none.

    Raises:
        RecipeError: it is missing, or is no evidence.
    """
    if recipe.evidence is None:
        return None
    path = Path(recipe.evidence)
    try:
        content = read_json(path, EVIDENCE_BYTES)
        Evidence.model_validate(content)
    except (OSError, ValueError) as error:
        why = "it is no evidence" if isinstance(error, ValidationError) else reason_of(error)
        raise RecipeError(
            f"evidence: expected a file that `easearch compare` wrote, got '{path}': {why}; leave "
            "it out, or name another"
        ) from None
    return dict(content)


def write_recipe(
    recipe: Recipe, folder: Path, evidence: Mapping[str, Any] | None = None
) -> list[str]:
    """Write `recipe.yaml`, and its evidence beside it; the names of both.

    Args:
        recipe: the run's.
        folder: where to.
        evidence: as `evidence_of` read it before the run began.
    """
    names = ["recipe.yaml"]
    if evidence is not None:
        write_json(folder / EVIDENCE, evidence)
        names.append(EVIDENCE)
    held = None if evidence is None else str(folder / EVIDENCE)
    recipe = recipe.model_copy(update={"evidence": held})
    write_atomic(folder / "recipe.yaml", recipe.dump(folder))
    return names


def layer_costs(meters: Iterable[Meter], seed: Graph, final: Graph) -> dict[str, Any]:
    """The content of `layers.json`: what every layer costs, in seed and grown network."""
    meters = list(meters)
    return {
        "units": {meter.name: meter.unit for meter in meters},
        "seed": {meter.name: dict(meter.cost(seed).rows) for meter in meters},
        "final": {meter.name: dict(meter.cost(final).rows) for meter in meters},
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["torch"] = torch.__version__
    return found


def peak_memory_mb() -> float:
    """The largest resident size that this process has had, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)

"""What a run leaves behind, as plain files: the curve, the growth rounds, the layers' costs, the
summary.
"""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from easearch.graph import Graph
from easearch.growth.events import Epoch, Step
from easearch.roles import Meter

PACKAGES = ("easearch", "torch", "torchvision", "onnx", "onnxruntime", "numpy", "scipy")


def write_rows(path: Path, rows: Iterable[Epoch | Step]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON object, indented."""
    path.write_text(json.dumps(content, indent=1) + "\n")


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

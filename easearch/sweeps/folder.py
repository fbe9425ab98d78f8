"""The folder of a study: where trials lie, which files stay, and the best run in one place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from easearch.sweeps.results import TrialResult
from easearch.untrusted import read_json

BEST = "best"
MARK = "trial.json"
"""In `best`: which trial it is."""
HEAVY = frozenset({".safetensors", ".onnx", ".pt", ".data"})
"""Files of a run that the best trial alone keeps."""


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial's run lies."""
    return folder / f"trial-{number:04d}"


def keep_best(folder: Path, best: TrialResult | None) -> None:
    """Bring `best` up to date, then take the heavy files out of every trial.

    A run that was the best is copied whole before its own folder is lightened; so `best` is there,
    whole, at every moment but that of one rename.
    """
    if best is not None and best.number != _marked(folder / BEST):
        source, draft = trial_folder(folder, best.number), folder / f".{BEST}"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft)
        write_json(draft / MARK, {"trial": best.number, "values": dict(best.values)})
        shutil.rmtree(folder / BEST, ignore_errors=True)
        draft.rename(folder / BEST)
    for trial in sorted(folder.glob("trial-*")):
        lighten(trial)


def lighten(run: Path) -> None:
    """Remove a run's heavy files, and the folders that this leaves empty."""
    for file in sorted(run.rglob("*"), reverse=True):
        if file.is_file() and file.suffix in HEAVY:
            file.unlink()
        elif file.is_dir() and not any(file.iterdir()):
            file.rmdir()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def _marked(best: Path) -> int | None:
    try:
        return int(read_json(best / MARK)["trial"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

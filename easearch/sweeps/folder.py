"""The folder of a study: where trials lie, which files stay, and the best run in one place.

Nothing that this study did not make is taken away: a trial is lightened once, by the call that ran
it, and a former `best` goes only while its files are those that were put there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from easearch.budget.store import json_text, write_atomic
from easearch.errors import RecipeError
from easearch.growth.checkpoint import WEIGHTS
from easearch.sweeps.results import TrialResult
from easearch.untrusted import read_json

BEST = "best"
MARK = "trial.json"
"""In `best`: which trial it is, and its files."""
HEAVY = frozenset({".safetensors", ".onnx", ".pt", ".data"})
"""Files of a run that the best trial alone keeps."""


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial's run lies."""
    return folder / f"trial-{number:04d}"


def check_best(folder: Path) -> None:
    """Refuse a folder in which `best` is somebody else's.

    Raises:
        RecipeError: it stands where the study's best run should.
    """
    best = folder / BEST
    if best.is_symlink() or (best.exists() and _marked(best) is None):
        raise RecipeError(
            f"expected '{best}' to be free, or a trial of this study, got something else; move it "
            "away, or take another folder"
        )


def keep_best(folder: Path, best: TrialResult | None) -> None:
    """Bring `best` up to date: a copy of the trial, whole at every moment but that of a rename.

    A former one whose files were changed or joined by others is kept, as `best-3`.
    """
    marked = _marked(folder / BEST)
    if best is None or best.number == marked:
        return
    source = trial_folder(folder, best.number)
    if source.is_symlink() or not (source / WEIGHTS).is_file():
        return  # its files were taken away by hand
    draft = Path(tempfile.mkdtemp(prefix=f".{BEST}-", dir=folder))
    try:
        copy = draft / BEST
        shutil.copytree(source, copy, symlinks=True)
        told = {"trial": best.number, "values": dict(best.values), "files": dict(_signed(copy))}
        write_json(copy / MARK, told)
        if marked is not None:
            former = _free(folder / f"{BEST}-{marked}")
            (folder / BEST).rename(former)
        copy.rename(folder / BEST)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # made here, and nobody else's
    if marked is not None:
        _take_away(former)


def lighten(run: Path) -> None:
    """Remove the heavy files of a run that this call has just written, and the folders that this
    leaves empty; links are not followed.
    """
    for file in sorted(_files(run), reverse=True):
        if file.suffix in HEAVY:
            file.unlink()
            if file.parent != run and not any(file.parent.iterdir()):
                file.parent.rmdir()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_atomic(path, json_text(value))


def _files(folder: Path) -> Iterator[Path]:
    """The regular files in a folder and those below it, no links among them or on the way."""
    for one in sorted(folder.iterdir()):
        if one.is_symlink():
            continue
        if one.is_dir():
            yield from _files(one)
        elif one.is_file():
            yield one


def _signed(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Every file with its size and the time at which it was written."""
    for file in _files(folder):
        told = file.stat()
        yield file.relative_to(folder).as_posix(), [told.st_size, told.st_mtime_ns]


def _take_away(best: Path) -> None:
    """Remove a former best run, if there is nothing in it but what was put there."""
    told = json.loads((best / MARK).read_text(encoding="utf-8")).get("files")
    inside = dict(_signed(best))
    inside.pop(MARK)
    links = any(one.is_symlink() for one in best.rglob("*"))
    if links or inside != told:
        return
    for name in (*inside, MARK):
        (best / name).unlink()
    for one in sorted((one for one in best.rglob("*") if one.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            one.rmdir()
    with contextlib.suppress(OSError):
        best.rmdir()


def _free(path: Path) -> Path:
    number, found = 1, path
    while found.exists() or found.is_symlink():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _marked(best: Path) -> int | None:
    try:
        return int(read_json(best / MARK)["trial"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

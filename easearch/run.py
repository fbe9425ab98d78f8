"""From a recipe to a run folder, whole or not at all."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from easearch.assembly import Assembly, Run
from easearch.errors import RecipeError
from easearch.front import FrontAssembly
from easearch.growth.events import Watcher
from easearch.preflight.ready import make_ready, seeded
from easearch.recipe import Recipe


def grow(
    recipe: str | Path | Recipe,
    out: str | Path | None = None,
    *,
    watch: Watcher | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Run:
    """Grow the network that a recipe describes, export it, and prove on the file that it keeps its
    limits.

    Args:
        recipe: a YAML file, or a recipe.
        out: the run folder to make; None: the next free `runs/<name>-<number>`. It appears when the
            run is done.
        watch: is told what happens (`easearch.growth.events`).
        overrides: other values at dotted paths, `{"training.epochs": 2}`.

    Raises:
        RecipeError: the recipe, or the folder, cannot be used.
        BudgetError: a limit cannot be met.
    """
    if isinstance(recipe, Recipe):
        chosen = recipe.changed(overrides) if overrides else recipe
    else:
        chosen = Recipe.load(recipe, overrides)
    path = _free(Path(out)) if out is not None else _numbered(chosen.name)
    told = watch or (lambda event: None)
    with seeded(chosen):
        ready = make_ready(chosen, told)
        with _folder(path) as draft:
            several = len(ready.points) > 1
            run = (FrontAssembly if several else Assembly)(ready, draft, told).run()
    return dataclasses.replace(run, path=path, front=_moved(run.front, path))


def _moved(front: tuple[Run, ...], path: Path) -> tuple[Run, ...]:
    return tuple(dataclasses.replace(run, path=path / run.path.name) for run in front)


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A folder to write into, that stands at `path` when all went well and nowhere otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield draft
        if path.exists():
            path.rmdir()
        draft.chmod(0o755)
        draft.replace(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _free(path: Path) -> Path:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RecipeError(
            f"expected a folder that is empty or not there, got {path}; choose another"
        )
    return path


def _numbered(name: str) -> Path:
    number = 1
    while (path := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return path


__all__ = ["Run", "grow"]

"""From a recipe to a run folder, which is claimed before anything is spent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from easearch import record
from easearch.assembly import Assembly, Run
from easearch.claims import Claim, claim, claim_numbered, writing
from easearch.errors import EasearchError, FolderError, TrainingError
from easearch.front import FrontAssembly
from easearch.growth.checkpoint import WEIGHTS
from easearch.growth.events import Note, Watcher
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.recipe import Recipe

RUNS = Path("runs")
"""Where runs lie that name no folder."""
ROWS = ("history.jsonl", "steps.jsonl")
"""What tells how far a training came."""
COPIES = 3
"""Of the weights of a network that is delivered: the network, the exported file, a draft of it."""
BESIDE = 2_000_000
"""Bytes of everything else in a run folder: page, costs, curve."""


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
        out: the run folder, empty or not there yet; None: the next free `runs/<name>-<number>`. It
            is there from the beginning. A run that is refused leaves none; one that fails later
            leaves the networks that were trained.
        watch: is told what happens (`easearch.growth.events`).
        overrides: other values at dotted paths, `{"training.epochs": 2}`.

    Raises:
        RecipeError: the recipe, or the folder, cannot be used.
        BudgetError: a limit cannot be met.
        FolderError: the folder cannot be written.
        TrainingError: the loss is no finite number, and no stage ended well before.
    """
    if isinstance(recipe, Recipe):
        chosen = recipe.changed(overrides) if overrides else recipe
    else:
        chosen = Recipe.load(recipe, overrides)
    told = watch or (lambda event: None)
    folder = claim_numbered(RUNS, chosen.name) if out is None else claim(Path(out))
    with _kept(folder, told), seeded(chosen):
        ready = make_ready(chosen, told)
        _check_space(ready, folder.path)
        folder.files += record.write_recipe(chosen, folder.path, ready.evidence)
        several = len(ready.points) > 1
        return (FrontAssembly if several else Assembly)(ready, folder.path, told).run()


@contextmanager
def _kept(folder: Claim, watch: Watcher) -> Iterator[None]:
    """What happens to a folder when its run ends: where nothing was trained it goes, else it stays,
    and it is said what lies there.
    """
    try:
        with writing(folder.path):
            yield
    except BaseException as error:
        networks = sorted(folder.path.glob(f"**/{WEIGHTS}"))
        if not networks and not isinstance(error, TrainingError):
            folder.files += ROWS
            folder.undo()
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        try:
            folder.note(failed=why)
        finally:
            folder.leave()
        what = f"no network was finished; {folder.path} says how far it came"
        if networks:
            places = ", ".join(_place(one.parent, folder.path) for one in networks)
            what = f"what was trained before stays in {folder.path} ({places})"
        if isinstance(error, EasearchError):
            raise type(error)(f"{error}; {what}") from error
        watch(Note(text=what))
        raise
    else:
        folder.release()


def _place(folder: Path, run: Path) -> str:
    return "the network" if folder == run else folder.relative_to(run).as_posix()


def _check_space(ready: Ready, folder: Path) -> None:
    """Refuse a run whose networks would not fit on the disk.

    Their sizes are estimated: parameters grow about as the first limit that stops them does.

    Raises:
        FolderError: with what is needed and what is free.
    """
    tensors = ready.state.model.state_dict().values()
    seed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    times = min(bound.limit / bound.meter.cost(ready.state.graph).total for bound in ready.bounds)
    networks = len(ready.growing.at) + COPIES * len(ready.points)
    needed, free = int(networks * seed * times) + BESIDE, shutil.disk_usage(folder).free
    if free < needed:
        raise FolderError(
            f"expected {needed / 1e6:,.1f} MB of free space for the networks of the run in "
            f"'{folder}', got {free / 1e6:,.1f} MB; free some, or choose another folder"
        )


__all__ = ["Run", "grow"]

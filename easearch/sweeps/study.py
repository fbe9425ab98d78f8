"""The study: Optuna on sqlite, a folder a trial, continued by calling again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from easearch.claims import EMPTY, Claim, claim, lock, writing
from easearch.errors import (
    EasearchError,
    FileFormatError,
    FolderError,
    RecipeError,
    reason_of,
)
from easearch.growth.events import Note, Phase, Watcher
from easearch.recipe import Recipe
from easearch.sweeps.figure import draw_front
from easearch.sweeps.folder import check_best, keep_best, lighten, trial_folder, write_json
from easearch.sweeps.results import SweepResult
from easearch.sweeps.sampling import sample
from easearch.sweeps.trials import Outcome, refuse_front, results_of, run_trial, store

DATABASE = "study.db"
SQLITE = b"SQLite format 3\0"
"""What such a file begins with."""


def sweep(
    recipe: str | Path | Recipe, trials: int, out: str | Path, *, watch: Watcher | None = None
) -> SweepResult:
    """Run `trials` more trials of the recipe in the folder `out`, and tell of all there are.

    Each is one `grow` into `out/trial-0007` with the values that Optuna chose for the fields under
    `sweep`. The objective is validation accuracy; a network that misses a limit is infeasible.
    The best feasible run stands whole in `out/best`, the others keep their small files;
    `front.svg` and `front.json` show all.

    Raises:
        RecipeError: the recipe names no field to sweep, or asks for a front; or `out` holds another
            study, or anything else, or another process works in it.
        FolderError: `out` cannot be written.
    """
    base = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    refuse_front(base)
    if not base.sweep:
        raise RecipeError(
            f"{base.name}: sweep: names no field; say for example "
            "`sweep: {growth.stages.0: {low: 0.2, high: 0.6}}`"
        )
    if trials < 1:
        raise RecipeError(f"expected at least 1 trial, got {trials}")
    folder, tell = Path(out), watch or _silent
    held = _held(folder)
    try:
        with writing(folder), _readable(folder / DATABASE):
            study = _open(base, folder)
            for done in range(trials):
                number = _one(study, base, folder, tell, f"{done + 1} of {trials}")
                result = _result(study, base, folder)
                keep_best(folder, result.best)
                if number is not None:
                    lighten(trial_folder(folder, number))
                _write_front(result)
            return _result(study, base, folder)
    finally:
        held.release()


@contextlib.contextmanager
def _readable(database: Path) -> Iterator[None]:
    """Inside, a database that cannot be used is an error that names it."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        raise FileFormatError(
            f"{database}: expected the database of a study, got one that cannot be used "
            f"({reason_of(getattr(cause, 'orig', None) or cause or error)}); end what else uses "
            "it, or take another folder"
        ) from error


def _held(folder: Path) -> Claim:
    """The folder of a study, or one for a new study, for this process alone."""
    if folder.is_dir() and (folder / DATABASE).is_file():
        return lock(folder)
    if folder.is_dir() and any(one.name not in EMPTY for one in folder.iterdir()):
        raise RecipeError(
            f"expected an empty folder or that of a study, got '{folder}' with other files in it; "
            "take another"
        )
    return claim(folder)


def _one(study: optuna.Study, base: Recipe, folder: Path, watch: Watcher, place: str) -> int | None:
    """Run a trial; its number, None where it failed."""
    trial = study.ask()
    values = _sampled(study, trial, base)
    try:
        told = ", ".join(f"{field}={value}" for field, value in values.items())
        watch(Phase(name="trial", detail=f"{place}: {told}"))
        outcome = run_trial(base, trial.number, values, folder, watch)
    except EasearchError as error:
        _fail(study, trial, str(error))
        if isinstance(error, FolderError):  # the next one would fail too
            raise
        watch(Note(text=f"trial {trial.number} failed: {error}"))
        return None
    except BaseException as error:
        # interrupted: the database must not show a trial that runs for ever
        _fail(study, trial, f"interrupted by {type(error).__name__}")
        raise
    store(trial, outcome)
    study.tell(trial, outcome.accuracy)
    watch(Note(text=_told(trial.number, outcome)))
    return trial.number


def _sampled(study: optuna.Study, trial: optuna.Trial, base: Recipe) -> dict[str, Any]:
    try:
        return sample(trial, base.sweep)
    except ValueError as error:  # a field whose kind of choice changed since the study began
        _fail(study, trial, str(error))
        raise RecipeError(f"sweep: {error}; take another folder for the new choices") from None


def _told(number: int, outcome: Outcome) -> str:
    kept = "keeps its limits" if outcome.feasible else "misses a limit"
    return f"trial {number}: validation accuracy {outcome.accuracy:.4f}, {kept}"


def _fail(study: optuna.Study, trial: optuna.Trial, why: str) -> None:
    trial.set_user_attr("error", " ".join(why.split()))
    study.tell(trial, state=TrialState.FAIL)


def _open(base: Recipe, folder: Path) -> optuna.Study:
    """The study in the folder, made where there is none."""
    check_best(folder)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # quoted: a ? would end the path, a % begin a character
    storage = f"sqlite:///{quote(str((folder / DATABASE).resolve()))}"
    try:
        _only_study(base, folder, storage)
        study = optuna.create_study(
            storage=storage,
            study_name=base.name,
            direction="maximize",
            load_if_exists=True,
        )
    except RuntimeError as error:  # Optuna's word for a database of another version
        raise FileFormatError(
            f"{folder / DATABASE}: expected a study of Optuna {optuna.__version__}, got another's "
            f"({reason_of(error)}); take another folder"
        ) from error
    finally:
        optuna.logging.set_verbosity(before)
    _same_recipe(study, base, folder)
    # the number of trials in the seed: a study that is continued must not ask the same again
    study.sampler = optuna.samplers.TPESampler(seed=(base.seed + len(study.trials)) % 2**32)
    return study


def _only_study(base: Recipe, folder: Path, storage: str) -> None:
    """Refuse a folder that another study has: their trials would have the same folders."""
    file = folder / DATABASE
    if not file.exists() or not file.stat().st_size:
        return
    with file.open("rb") as content:
        if content.read(len(SQLITE)) != SQLITE:  # one that is shorter is overwritten by sqlite
            raise FileFormatError(
                f"{file}: expected the database of a study, got another file; take another folder"
            )
    others = [name for name in optuna.get_all_study_names(storage) if name != base.name]
    if others:
        raise RecipeError(
            f"'{folder}' holds the study '{others[0]}', and one folder has one study; take another "
            f"folder for '{base.name}'"
        )


def _same_recipe(study: optuna.Study, base: Recipe, folder: Path) -> None:
    fixed = base.changed({"sweep": {}}).model_dump(mode="json")
    told = study.user_attrs.get("recipe")
    if told is None:
        study.set_user_attr("recipe", fixed)
    elif told != fixed:
        raise RecipeError(
            f"the study '{base.name}' in '{folder}' was begun with another recipe, and its trials "
            "would not compare; take another folder"
        )


def _result(study: optuna.Study, base: Recipe, folder: Path) -> SweepResult:
    return results_of(study.get_trials(deepcopy=False), base, folder)


def _write_front(result: SweepResult) -> None:
    write_json(result.path / "front.json", result.to_json())
    draw_front(result, result.path / "front.svg")


def _silent(event: Any) -> None:
    """Nobody watches."""

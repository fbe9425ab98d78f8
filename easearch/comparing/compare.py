"""The comparison: terms settled once, entries run, results judged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easearch.claims import EMPTY
from easearch.comparing.files import FAILED, TERMS, Entry
from easearch.comparing.results import Comparison, gathered, told_weights, write_results
from easearch.comparing.running import entries_of, spread, work
from easearch.comparing.telling import write_evidence, write_page
from easearch.comparing.terms import Terms, check_same, keep, known, settled
from easearch.comparing.words import training_of
from easearch.errors import RecipeError, nearest
from easearch.growth.events import Note, Watcher
from easearch.recipe import Recipe


def compare(
    recipe: str | Path | Recipe,
    arms: Sequence[str],
    seeds: int = 5,
    *,
    out: str | Path,
    jobs: int = 1,
    against: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    watch: Watcher | None = None,
) -> Comparison:
    """Compare ways to a network within a recipe's limits, at equal compute.

    Every arm at every seed is an entry with a folder of its own, `out/ARM/seed-N`; those that are
    done are not run again, whoever ran them. The page is `out/comparison.html`.

    Args:
        recipe: a YAML file, or a recipe; its `seed` is the first one.
        arms: names in `ARMS`, some with an option: `grow:firefly`.
        seeds: how many, one after the other.
        out: the folder; one that is there already is continued.
        jobs: processes that share the entries.
        against: the reference arm; None: `uniform` where it is compared, else the first.
        overrides: other values at dotted paths.
        watch: is told what happens.

    Raises:
        RecipeError: an unknown arm, or a folder that holds the comparison of another recipe.
        EasearchError: no entry could begin. What happens to one entry is told in the result.
    """
    chosen, tell, folder = read(recipe, overrides), watch or _silent, Path(out)
    asked = asked_for(chosen, arms, seeds, against)
    terms = terms_of(chosen, overrides or {}, folder, jobs, tell)
    if (weights := told_weights(terms, list(dict.fromkeys(one.arm for one in asked)))) is not None:
        tell(Note(text=weights))
    for one in asked:
        (one.folder(folder) / FAILED).unlink(missing_ok=True)  # tried again
    left = [one for one in asked if not one.done(folder)]
    if jobs > 1 and len(left) > 1:
        spread(terms, asked, folder, min(jobs, len(left)), tell)
    else:
        # shared: another call may be at work in this folder
        work(terms, asked, folder, tell, shared=True)
    found = gathered(terms, asked, folder, against)
    write_results(found)
    write_page(found)
    write_evidence(found)
    return found


def read(recipe: str | Path | Recipe, overrides: Mapping[str, Any] | None) -> Recipe:
    """The recipe with its overrides."""
    if isinstance(recipe, Recipe):
        return recipe.changed(overrides) if overrides else recipe
    return Recipe.load(recipe, overrides)


def asked_for(
    recipe: Recipe, arms: Sequence[str], seeds: int, against: str | None = None
) -> list[Entry]:
    """The entries of a call.

    Raises:
        RecipeError: no arm, an unknown one, one that cannot be trained as it says, or a reference
            that is not among them.
    """
    if not arms:
        raise RecipeError("expected one arm or more, such as grow,uniform, got none")
    if seeds < 1:
        raise RecipeError(f"expected at least 1 seed, got {seeds}")
    if against is not None and against not in arms:
        raise RecipeError(
            f"expected a reference among the arms, got '{against}'; {nearest(against, arms)}"
        )
    entries = entries_of(list(dict.fromkeys(arms)), _seeds(recipe, seeds))
    for own in {one.own for one in entries}:
        recipe.changed(training_of(own))  # refuses what no training can have
    return entries


def terms_of(
    recipe: Recipe,
    changes: Mapping[str, Any],
    out: Path,
    jobs: int,
    watch: Watcher,
    *,
    write: bool = True,
) -> Terms:
    """The terms that lie in the folder, or new ones, which are written there.

    Args:
        recipe: with its changes made.
        changes: what they were, for the record.
        out: the folder of the comparison.
        jobs: processes, which share the cores.
        watch: is told what happens.
        write: whether new terms are kept.

    Raises:
        RecipeError: those that lie there are another recipe's.
    """
    if (out / TERMS).exists():
        terms = known(out)
    else:
        _check_free(out)
        threads = recipe.threads or max((os.cpu_count() or 1) // jobs, 1)
        terms = settled(recipe, changes, watch, threads)
        terms = keep(terms, out) if write else terms
    check_same(terms, recipe, out)
    return terms


def _check_free(out: Path) -> None:
    """Refuse a folder with anything of others in it; what begins with a dot is a lock of ours."""
    if out.is_symlink() and not out.exists():
        raise RecipeError(f"expected a folder for the comparison, got {out}, a link to nothing")
    if not out.exists():
        return
    if not out.is_dir() or any(
        one.name[0] != "." and one.name not in EMPTY for one in out.iterdir()
    ):
        raise RecipeError(
            f"expected an empty folder or that of a comparison, got '{out}' with something else in "
            "it; take another"
        )


def _seeds(recipe: Recipe, seeds: int) -> Iterable[int]:
    return range(recipe.seed, recipe.seed + seeds)


def _silent(event: object) -> None:
    """Nobody watches."""

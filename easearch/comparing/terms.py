"""What all entries of a comparison have in common, settled once: limits as numbers, uniform widths,
compute.

They lie in `terms.json`, so that every process and every later call keeps to them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easearch import record
from easearch.budget.devices.host import this_host
from easearch.comparing.files import TERMS, read_json
from easearch.comparing.widest import Widest, widest_uniform
from easearch.errors import BudgetError, FileFormatError, RecipeError
from easearch.growth.compute import Compute
from easearch.growth.events import Phase, Watcher
from easearch.growth.stream import step_compute
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.recipe import Recipe

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Equal for every entry."""

    recipe: Mapping[str, Any]
    """As it was given; its seed is the first one."""
    limits: Mapping[str, float]
    """By meter, in the meter's unit."""
    units: Mapping[str, str]
    width_step: int
    uniform: Mapping[str, int]
    """Widths of the widest uniform network within the limits."""
    factor: float
    """Multiple of the seed's widths that rounds to these."""
    share: float
    """Of the limit that the uniform network takes."""
    compute: float
    """Multiply-adds of every entry."""
    step: float
    """Multiply-adds of one training step of the uniform network."""
    threads: int
    date: str
    commit: str | None
    host: Mapping[str, Any]
    versions: Mapping[str, str]
    format: int = FORMAT

    def at(self, seed: int) -> Recipe:
        """The recipe of a seed's entries: its epochs pass with the compute that is spent."""
        changes = {"seed": seed, "threads": self.threads, "training.compute": self.compute}
        return Recipe.model_validate(self.recipe).changed(changes)

    def ready(self, recipe: Recipe, watch: Watcher) -> Ready:
        """An entry made ready within these limits, on this grid; to be called within `seeded`."""
        ready = make_ready(recipe, watch)
        bounds = tuple(replace(b, limit=self.limits[b.meter.name]) for b in ready.bounds)
        growing = replace(ready.growing, width_step=self.width_step)
        return replace(ready, bounds=bounds, growing=growing)


def settled(recipe: Recipe, watch: Watcher, threads: int) -> Terms:
    """Find the uniform network and what training it by the recipe takes.

    The compute is that of the recipe's epochs at the uniform widths, or `training.compute`.

    Raises:
        BudgetError: the seed as measured does not keep the limits, or nothing can grow.
        EasearchError: whatever makes a run of the recipe impossible.
    """
    # By the clock of the entries: moments of growth need not be whole epochs. Any compute will do.
    clocked = recipe.changed({"threads": threads, "training.compute": 1.0})
    with seeded(clocked):
        ready = make_ready(clocked, watch)
        watch(Phase(name="measure", detail="the widest uniform network within the limits"))
        growing, graph = ready.growing, ready.state.graph
        widest = widest_uniform(graph, ready.bounds, growing.width_step, growing.widths)
    _check(widest, ready)
    macs = float(Compute.macs_of(graph.with_widths(widest.widths)))
    epochs = 3.0 * macs * ready.feed.samples * recipe.training.epochs
    return Terms(
        recipe=recipe.model_dump(mode="json"),
        limits={bound.meter.name: bound.limit for bound in ready.bounds},
        units={bound.meter.name: bound.meter.unit for bound in ready.bounds},
        width_step=growing.width_step,
        uniform=dict(widest.widths),
        factor=widest.factor,
        share=widest.share,
        compute=recipe.training.compute or epochs,
        step=step_compute(macs, ready.feed),
        threads=threads,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
        host=this_host(threads).to_json(),
        versions=record.versions(),
    )


def keep(terms: Terms, out: Path) -> Terms:
    """Write the terms, unless another process was first: then its terms hold."""
    out.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=out, prefix=".terms-")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(terms), file, indent=1)
        draft.chmod(0o644)
        os.link(draft, out / TERMS)
    except FileExistsError:
        return known(out)
    finally:
        draft.unlink(missing_ok=True)
    return terms


def known(out: Path) -> Terms:
    """The terms that lie in a folder.

    Raises:
        FileFormatError: they are damaged, or of another version.
    """
    content = read_json(out / TERMS)
    try:
        if content.get("format") != FORMAT:
            raise TypeError(f"expected format {FORMAT}, got {content.get('format')}")
        return Terms(**content)
    except TypeError as error:
        raise FileFormatError(f"{out / TERMS}: {error}; compare into another folder") from None


def check_same(terms: Terms, recipe: Recipe, out: Path) -> None:
    """Refuse to mix two recipes in one folder; other seeds are welcome.

    Raises:
        RecipeError: with the first field that differs.
    """
    there, here = dict(terms.recipe), recipe.model_dump(mode="json")
    for values in (there, here):
        for free in ("seed", "name", "evidence", "threads", "sweep"):
            values.pop(free, None)
    differs = _difference(there, here)
    if differs is not None:
        where, was, now = differs
        raise RecipeError(
            f"{out} holds a comparison by another recipe: {where} was {was!r} and is {now!r}; "
            "choose another folder, or set it back"
        )


def commit() -> str | None:
    """The commit of the code that runs, with a `+` where files differ from it; None where the code
    does not lie in a repository.
    """

    def said(*words: str) -> str | None:
        try:
            asked = ["git", "-C", str(Path(__file__).parent), *words]
            done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = said("rev-parse", "--short", "HEAD")
    changed = said("status", "--porcelain", "--untracked-files=no", "--", "..")
    return f"{head}+" if head and changed else head


def _check(widest: Widest, ready: Ready) -> None:
    if widest.share > 1:
        raise BudgetError(
            f"the seed takes {100 * widest.share:.0f} % of a limit, measured as a whole with a "
            "margin: there is no network to compare; raise the limit or begin with a smaller seed"
        )
    if widest.widths == ready.state.graph.widths:
        raise BudgetError(
            "the seed is the widest uniform network within the limits: there is nothing to "
            "compare; raise the limit or begin with a smaller seed"
        )


def _difference(a: Any, b: Any, at: str = "") -> tuple[str, Any, Any] | None:
    """The first dotted field at which two values differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in {**a, **b}:
            found = _difference(a.get(key), b.get(key), f"{at}.{key}" if at else str(key))
            if found is not None:
                return found
        return None
    return None if a == b else (at, a, b)

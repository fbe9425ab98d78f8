"""What all entries of a comparison have in common, settled once: limits as numbers, uniform widths,
compute.

A comparison is of fronts: K limits, one or more, for each of which an arm delivers a network.

They lie in `terms.json`, so that every process and every later call keeps to them.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easearch import record
from easearch.budget.devices.host import this_host
from easearch.budget.store import json_text
from easearch.comparing.files import TERMS, read_json
from easearch.comparing.point import Point
from easearch.errors import BudgetError, FileFormatError, RecipeError
from easearch.growth.compute import Compute
from easearch.growth.events import Phase, Watcher
from easearch.growth.stream import step_compute
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.preflight.schedule import scheduled
from easearch.preflight.uniform import widest_uniform
from easearch.recipe import Recipe
from easearch.roles import Bound

FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Equal for every entry."""

    recipe: Mapping[str, Any]
    """As it was given; its seed is the first one."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What the call that began the comparison changed in its file: dotted path -> value."""
    points: Sequence[Point]
    """The front: a point a limit, smallest first."""
    units: Mapping[str, str]
    """By meter."""
    width_step: int
    classes: int
    compute: float
    """Multiply-adds of every entry, for its whole front."""
    step: float
    """Multiply-adds of one training step of the uniform network at the largest limit."""
    threads: int
    date: str
    commit: str | None
    host: Mapping[str, Any]
    versions: Mapping[str, str]
    format: int = FORMAT

    @property
    def largest(self) -> Point:
        """The last point of the front, and the only one at one limit."""
        return self.points[-1]

    @property
    def front(self) -> bool:
        """Whether there is more than one limit."""
        return len(self.points) > 1

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`."""
        return asdict(self)

    def at(self, seed: int) -> Recipe:
        """The recipe of a seed's entries: its epochs pass with the compute that is spent."""
        changes = {"seed": seed, "threads": self.threads, "training.compute": self.compute}
        return Recipe.model_validate(self.recipe).changed(changes)

    def ready(self, recipe: Recipe, watch: Watcher) -> Ready:
        """An entry made ready within these limits, on this grid; to be called within `seeded`."""
        ready = make_ready(recipe, watch)
        points = tuple(
            tuple(replace(bound, limit=point.limits[bound.meter.name]) for bound in bounds)
            for bounds, point in zip(ready.points, self.points, strict=True)
        )
        growing, training = scheduled(
            recipe,
            ready.state.graph,
            points,
            replace(ready.growing, width_step=self.width_step),
            ready.training,
            ready.feed.samples,
            self.points[-1].uniform,
        )
        return replace(ready, points=points, growing=growing, training=training)


def settled(recipe: Recipe, changes: Mapping[str, Any], watch: Watcher, threads: int) -> Terms:
    """Find the uniform network at every limit, and what training by the recipe takes.

    The compute is that of the recipe's epochs at the uniform widths of the largest limit, for the
    whole front, or `training.compute`.

    Raises:
        BudgetError: the seed as measured does not keep the limits, or nothing can grow.
        EasearchError: whatever makes a run of the recipe impossible.
    """
    alone = recipe.changed({"threads": threads})
    with seeded(alone):
        ready = make_ready(alone, watch)
        points = [_point(ready, bounds, watch) for bounds in ready.points]
    _check(points, ready)
    macs = points[-1].macs
    epochs = 3.0 * macs * ready.feed.samples * recipe.training.epochs
    return Terms(
        recipe=recipe.model_dump(mode="json", exclude={"evidence"}),
        changes=dict(changes),
        points=points,
        units={bound.meter.name: bound.meter.unit for bound in ready.bounds},
        width_step=ready.growing.width_step,
        classes=ready.data.num_classes,
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
    draft = out / f".terms-{uuid.uuid4().hex[:8]}"
    try:
        draft.write_text(json_text(terms.to_json()), encoding="utf-8")
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
        points = [Point.from_json(one) for one in content["points"]]
        return Terms(**{**content, "points": points})
    except (TypeError, KeyError) as error:
        raise FileFormatError(f"{out / TERMS}: {error}; compare into another folder") from None


def check_same(terms: Terms, recipe: Recipe, out: Path) -> None:
    """Refuse to mix two recipes in one folder; other seeds are welcome.

    Raises:
        RecipeError: with the first field that differs.
    """
    # Read anew, a recipe of an older version has the defaults of fields that it did not know.
    began = Recipe.model_validate(terms.recipe)
    there, here = (one.model_dump(mode="json") for one in (began, recipe))
    unread = {"front"} if len(recipe.budget.points) == 1 else {"growth.at", "growth.stages"}
    for values in (there, here):
        for free in ("seed", "name", "evidence", "threads", "sweep", *unread):
            *part, key = free.split(".")
            (values[part[0]] if part else values).pop(key, None)
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


def _point(ready: Ready, bounds: Sequence[Bound], watch: Watcher) -> Point:
    limits = {bound.meter.name: bound.limit for bound in bounds}
    told = ", ".join(f"{b.meter.name} {b.limit:.4g} {b.meter.unit}" for b in bounds)
    watch(Phase(name="measure", detail=f"the widest uniform network within {told}"))
    graph, growing = ready.state.graph, ready.growing
    widest = widest_uniform(graph, bounds, growing.width_step, growing.widths)
    return Point(
        limits=limits,
        uniform=dict(widest.widths),
        factor=widest.factor,
        share=widest.share,
        macs=float(Compute.macs_of(graph.with_widths(widest.widths))),
    )


def _check(points: Sequence[Point], ready: Ready) -> None:
    worst = max(point.share for point in points)
    if worst > 1:
        raise BudgetError(
            f"the seed takes {100 * worst:.0f} % of a limit, measured as a whole with a "
            "margin: there is no network to compare; raise the limit or begin with a smaller seed"
        )
    if points[-1].uniform == ready.state.graph.widths:
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

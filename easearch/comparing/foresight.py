"""What a comparison will take, before anything is spent or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easearch.comparing.compare import asked_for, read, terms_of
from easearch.comparing.terms import Terms
from easearch.growth.compute import Compute
from easearch.growth.events import Phase, Watcher
from easearch.growth.stream import step_compute
from easearch.growth.surgery import resize
from easearch.preflight.ready import seeded
from easearch.preflight.timing import pace_of
from easearch.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """The entries, their compute, and about how long they take."""

    terms: Terms
    entries: tuple[str, ...]
    done: tuple[str, ...]
    jobs: int
    seconds: tuple[float, float]
    """Of one entry: all of its compute spent at the uniform widths of the largest limit, and all at
    the seed's, whose multiply-adds take longer. Exporting and measuring come on top.
    """

    @property
    def left(self) -> int:
        """How many entries are to be run."""
        return len(self.entries) - len(self.done)

    @property
    def total_seconds(self) -> tuple[float, float]:
        """Of all that are left, spread over the jobs: at best, and at worst."""
        rounds = -(-self.left // self.jobs)
        return self.seconds[0] * rounds, self.seconds[1] * rounds

    @property
    def total_compute(self) -> float:
        """Multiply-adds of all that are left."""
        return self.left * self.terms.compute


def foresee(
    recipe: str | Path | Recipe,
    arms: Sequence[str],
    seeds: int = 5,
    *,
    out: str | Path,
    jobs: int = 1,
    overrides: Mapping[str, Any] | None = None,
    watch: Watcher | None = None,
) -> Foresight:
    """As `compare` with the same arguments, as far as its first entry; a few steps are timed.

    Raises:
        EasearchError: as `compare`.
    """
    chosen, tell, folder = read(recipe, overrides), watch or (lambda event: None), Path(out)
    asked = asked_for(chosen, arms, seeds)
    terms = terms_of(chosen, overrides or {}, folder, jobs, tell, write=False)
    return Foresight(
        terms=terms,
        entries=tuple(map(str, asked)),
        done=tuple(str(one) for one in asked if one.done(folder)),
        jobs=jobs,
        seconds=_seconds(terms, tell),
    )


def _seconds(terms: Terms, watch: Watcher) -> tuple[float, float]:
    recipe = terms.at(int(terms.recipe["seed"]))
    with seeded(recipe):
        ready = terms.ready(recipe, watch)
        watch(Phase(name="time", detail="a few steps"))
        seed = ready.state.graph
        found = []
        for graph in (seed.with_widths(terms.largest.uniform), seed):
            model = resize(ready.state.model, seed, graph.widths)
            pace = pace_of(model, graph, ready.feed, ready.training)
            steps = terms.compute / step_compute(Compute.macs_of(graph), ready.feed)
            found.append(steps * pace.step)
    return min(found), max(found)

"""A run of several limits: one trunk, a branch a limit, each exported and certified by itself."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easearch import record
from easearch.assembly import Assembly, Run
from easearch.growth.events import Note, Phase, Watcher
from easearch.growth.front import Worth, branches, finish, spent_since
from easearch.growth.loop import Grower
from easearch.preflight.ready import Ready
from easearch.reporting import write_report
from easearch.scoring.worth import worth


class FrontAssembly:
    """A run of several limits while it goes on. Folder `limit-1`, `limit-2`, ... are its networks',
    run folders like any other.
    """

    def __init__(self, ready: Ready, folder: Path, watch: Watcher, worth: Worth = worth) -> None:
        self.ready, self.folder, self.watch, self.worth = ready, folder, watch, worth
        self.trunk = Assembly(ready, folder, watch)
        self.parts = [
            Assembly(
                dataclasses.replace(ready, points=(bounds,)), folder / f"limit-{number + 1}", watch
            )
            for number, bounds in enumerate(ready.points)
        ]

    def run(self) -> Run:
        """Seed to certificates."""
        trunk, grown = self.grower(), []
        with self.trunk.recorded(trunk):
            for part, branch in zip(self.parts, self.grown(trunk), strict=True):
                part.keep(branch)  # before the next one is trained
                record.write_recipe(self.ready.recipe, part.folder, self.ready.evidence)
                grown.append(branch)
        runs = []
        for part, branch in zip(self.parts, grown, strict=True):
            part.notes += [n for n in self.trunk.notes if n not in part.notes]
            runs.append(part.delivered(branch))
        summary = self._summary(trunk, grown, runs)
        record.write_json(self.folder / "run.json", summary)
        write_report(self.folder)
        return dataclasses.replace(runs[-1], path=self.folder, summary=summary, front=tuple(runs))

    def grower(self) -> Grower:
        """The trunk before its first epoch."""
        start, own = self.ready.growing.start, self.ready.seed.factory is not None
        if start is not None and own:
            name = self.ready.seed.architecture.factory
            text = f"the trunk begins at its largest size with random weights, not {name}'s"
            self.trunk.watch(Note(text=text))
        return self.trunk.grower(None if start is None else self.ready.drawn(start))

    def grown(self, trunk: Grower) -> Iterator[Grower]:
        """The branches of a trunk, one after the other, each as soon as it is annealed."""
        how = self.ready.recipe
        until = how.front.trunk * how.training.epochs
        by = self.worth if how.front.smaller == "cut" else None
        grown = branches(trunk, until, by, how.front.shares)
        for number, (part, branch) in enumerate(zip(self.parts, grown, strict=True)):
            branch.watch = part.watch
            self.watch(Phase(name="branch", detail=f"{number + 1} of {len(grown)}"))
            finish(branch)
            yield branch

    def _summary(
        self, trunk: Grower, grown: Sequence[Grower], runs: Sequence[Run]
    ) -> dict[str, Any]:
        """What `run.json` tells of the whole; each network's own lies in its folder."""
        bills = [spent_since(one) for one in (trunk, *grown)]
        last, kept = runs[-1].summary, ("name", "seed", "easearch", "versions", "host", "device")
        bill = {key: sum(one[key] for one in bills) for key in bills[-1]}
        notes = dict.fromkeys(note for run in runs for note in run.summary["notes"])
        return {
            **{key: last[key] for key in kept},
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "precision": last["precision"],
            "front": [_point(*one) for one in zip(runs, grown, strict=True)],
            "seed_cost": last["seed_cost"],
            "compute": {**bill, "total": sum(bill.values())},
            "seconds": {"total": time.perf_counter() - self.ready.started},
            "peak_memory_mb": record.peak_memory_mb(),
            "notes": list(notes),
        }


def _point(run: Run, branch: Grower) -> dict[str, Any]:
    """One network of the front; `began` and `spent` are multiply-adds, of the trunk until the
    branch leaves it and of the branch alone.
    """
    told, certificate = run.summary, run.certificate.to_json()
    parts = ("status", "test", "test_exported", "validation", "limits", "cost", "params", "macs")
    return {
        "folder": run.path.name,
        **{key: told[key] for key in parts if key in told},
        "meets": certificate["meets"],
        "proofs": certificate["proofs"],
        "began": branch.began["total"],
        "spent": sum(spent_since(branch).values()),
    }

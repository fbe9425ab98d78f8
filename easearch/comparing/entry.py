"""One entry from beginning to end: the arm runs, the judge exports, certifies and tests each of its
networks, one a limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from easearch.budget.store import json_text, write_atomic
from easearch.comparing.apart import apart
from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms import ARMS
from easearch.comparing.files import ENTRY, FAILED, Entry, part_folder
from easearch.comparing.guard import Guarded
from easearch.comparing.judging import certified, part_of, tested
from easearch.comparing.machine_lock import Machine
from easearch.comparing.terms import Terms
from easearch.comparing.words import training_of
from easearch.errors import BudgetError
from easearch.growth.checkpoint import write
from easearch.growth.compute import Compute
from easearch.growth.events import Event, Note, Phase, Progress, Watcher
from easearch.growth.stream import step_compute
from easearch.growth.training import Quality
from easearch.preflight.ready import Ready, seeded


def run_entry(terms: Terms, entry: Entry, out: Path, watch: Watcher, machine: Machine) -> None:
    """Run one entry; `entry.json` is written last.

    Raises:
        BudgetError: the arm spent another compute than its own.
        EasearchError: whatever the arm refuses.
    """
    folder, began = entry.folder(out), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []

    def told(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        if isinstance(event, Progress):
            machine.breathe()
        watch(event)

    recipe = terms.at(entry.seed).changed(training_of(entry.own))
    with seeded(recipe):
        with machine.alone():
            ready = terms.ready(recipe, told)
        machine.quieten([bound for bounds in ready.points for bound in bounds])
        guard = Guarded.over(ready.feed)
        # What it took to make ready has drawn from the generators, how much may depend on caches.
        torch.manual_seed(recipe.seed)
        with machine.together():
            began_to_run = time.perf_counter()
            contest = Setting(
                recipe=recipe,
                ready=replace(ready, feed=guard),
                points=terms.points,
                compute=terms.compute,
                folder=folder,
                watch=told,
                option=entry.option,
                needed={one.name: one.folder(out) for one in needs_of(entry)},
            )
            front = _delivered(ARMS[entry.name], contest)
            seconds = time.perf_counter() - began_to_run
        for number, one in enumerate(front):  # what was trained stays, whatever the judge says
            # Arms train in channels last; the file and the folder take torch's plain layout.
            one.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            grown = ready.seed.architecture.grown(one.graph)
            write(one.model, grown, part_folder(folder, number, len(front)))
        _check_bill(terms, ready, front, entry)
        told(Phase(name="judge", detail=str(entry)))
        with machine.alone():
            certificates = certified(ready, front, folder)
        qualities = tested(ready, guard, front, folder)
    parts = [
        part_of(*all_of)
        for all_of in zip(terms.points, front, certificates, qualities, strict=True)
    ]
    took = {"arm": seconds, "total": time.perf_counter() - began}
    content = _content(terms, entry, front, parts, qualities, notes, took)
    write_atomic(folder / ENTRY, json_text(content))


def write_failure(entry: Entry, out: Path, why: str, trace: str | None = None) -> None:
    """Note why an entry failed, so that the others of this call do not wait for it."""
    content = {"arm": entry.arm, "seed": entry.seed, "error": why, "trace": trace}
    write_atomic(entry.folder(out) / FAILED, json_text(content))


def _needed(entry: Entry, name: str) -> Entry:
    return Entry(arm=name if entry.said is None else f"{name}:{entry.said}", seed=entry.seed)


def needs_of(entry: Entry) -> list[Entry]:
    """The entries that must be done before this one."""
    return [_needed(entry, name) for name in ARMS[entry.name].needs]


def _delivered(arm: Arm, contest: Setting) -> list[Delivered]:
    """A network a limit, in their order."""
    wanted = len(contest.points)
    if wanted == 1:
        return [arm.run(contest)]
    front = arm.front(contest) if arm.front is not None else apart(arm.run, contest)
    if len(front) != wanted:
        raise BudgetError(
            f"expected a network for each of {wanted} limits, got {len(front)}; mend the arm's "
            "front"
        )
    return front


def _content(
    terms: Terms,
    entry: Entry,
    front: Sequence[Delivered],
    parts: Sequence[Mapping[str, Any]],
    qualities: Sequence[Mapping[str, Quality]],
    notes: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What `entry.json` says: means over the front, the whole bill, and a part a network."""
    return {
        "arm": entry.arm,
        "seed": entry.seed,
        **{name: _means(one[name] for one in qualities) for name in qualities[0]},
        "meets": all(one["meets"] for one in parts),
        "compute": {**_bill(front), "total": _spent(front), "given": terms.compute},
        "front": list(parts),
        "notes": list(dict.fromkeys([*notes, *_notes(front)])),
        "seconds": {**seconds, **_laps(front)},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _means(qualities: Iterable[Quality]) -> dict[str, float]:
    """Over the front."""
    found = list(qualities)
    return {
        "loss": sum(one.loss for one in found) / len(found),
        "accuracy": sum(one.accuracy for one in found) / len(found),
    }


def _notes(front: Sequence[Delivered]) -> list[str]:
    if len(front) == 1:
        return list(front[0].notes)
    return [f"limit {number}: {note}" for number, one in enumerate(front, 1) for note in one.notes]


def _bill(front: Sequence[Delivered]) -> dict[str, float]:
    """Multiply-adds of the whole front by purpose."""
    return _summed(one.bill for one in front)


def _laps(front: Sequence[Delivered]) -> dict[str, float]:
    return _summed(one.seconds for one in front)


def _summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in parts:
        for name, value in one.items():
            found[name] = found.get(name, 0.0) + value
    return found


def _spent(front: Sequence[Delivered]) -> float:
    return sum(one.spent for one in front)


def _check_bill(terms: Terms, ready: Ready, front: Sequence[Delivered], entry: Entry) -> None:
    steps = sum(step_compute(Compute.macs_of(one.graph), ready.feed) for one in front)
    spent = _spent(front)
    if abs(spent - terms.compute) > steps:
        parts: Sequence[str] = [f"{what} {macs:.4g}" for what, macs in _bill(front).items()]
        within = "one training step" if len(front) == 1 else "one training step a limit"
        raise BudgetError(
            f"{entry}: expected {terms.compute:.4g} multiply-adds to be spent, to within "
            f"{within}, {steps:.3g}, got {spent:.4g} ({', '.join(parts)}); "
            "train longer, so that what else the arm does fits in"
        )

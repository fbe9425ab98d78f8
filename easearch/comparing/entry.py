"""One entry from beginning to end: the arm runs, the judge exports, certifies and tests."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from easearch.assembly import LOOKS
from easearch.budget import Certificate, certify
from easearch.budget.store import write_atomic
from easearch.comparing.arms import ARMS, Delivered, Setting
from easearch.comparing.files import ENTRY, FAILED, Entry
from easearch.comparing.guard import Guarded
from easearch.comparing.quiet import Machine
from easearch.comparing.terms import Terms
from easearch.errors import BudgetError
from easearch.exporting import Exported, export
from easearch.growth.checkpoint import write
from easearch.growth.compute import Compute
from easearch.growth.events import Event, Note, Phase, Progress, Watcher
from easearch.growth.stream import step_compute
from easearch.growth.training import Quality, evaluate
from easearch.preflight.ready import Ready, seeded

KEPT = frozenset({".claim"})
"""What a folder keeps when its entry begins anew."""


def run_entry(terms: Terms, entry: Entry, out: Path, watch: Watcher, machine: Machine) -> None:
    """Run one entry; `entry.json` is written last.

    Raises:
        BudgetError: the arm spent another compute than its own.
        EasearchError: whatever the arm refuses.
    """
    folder, began = entry.folder(out), time.perf_counter()
    _cleared(folder)
    notes: list[str] = []

    def told(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        if isinstance(event, Progress):
            machine.breathe()
        watch(event)

    arm, recipe = ARMS[entry.name], terms.at(entry.seed)
    with seeded(recipe):
        with machine.alone():
            ready = terms.ready(recipe, told)
        machine.quieten(ready.bounds)
        guard = Guarded.over(ready.feed)
        # What it took to make ready has drawn from the generators, how much may depend on caches.
        torch.manual_seed(recipe.seed)
        with machine.together():
            began_to_run = time.perf_counter()
            delivered = arm.run(
                Setting(
                    recipe=recipe,
                    ready=replace(ready, feed=guard),
                    compute=terms.compute,
                    uniform=terms.uniform,
                    folder=folder,
                    watch=told,
                    option=entry.option,
                    needed={
                        name: _needed(entry, name).folder(out) for name in ARMS[entry.name].needs
                    },
                )
            )
            seconds = time.perf_counter() - began_to_run
        _check_bill(terms, ready, delivered, entry)
        told(Phase(name="judge", detail=str(entry)))
        with machine.alone():
            certificate = _certified(ready, delivered, folder)
        tested = _tested(ready, guard, delivered, folder)
    write(delivered.model, ready.seed.architecture.grown(delivered.graph), folder)
    content = {
        "arm": entry.arm,
        "seed": entry.seed,
        **tested,
        "limits": [asdict(proof) | {"meets": proof.meets} for proof in certificate.proofs],
        "meets": certificate.meets,
        "compute": {**delivered.bill, "total": delivered.spent, "given": terms.compute},
        "macs": Compute.macs_of(delivered.graph),
        "params": sum(p.numel() for p in delivered.model.parameters()),
        "widths": delivered.graph.widths,
        "notes": [*notes, *(n for n in delivered.notes if n not in notes)],
        "seconds": {"arm": seconds, "total": time.perf_counter() - began, **delivered.seconds},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomic(folder / ENTRY, json.dumps(content, indent=1) + "\n")


def write_failure(entry: Entry, out: Path, why: str, trace: str | None = None) -> None:
    """Note why an entry failed, so that the others of this call do not wait for it."""
    content = {"arm": entry.arm, "seed": entry.seed, "error": why, "trace": trace}
    write_atomic(entry.folder(out) / FAILED, json.dumps(content, indent=1) + "\n")


def _needed(entry: Entry, name: str) -> Entry:
    return Entry(arm=f"{name}:{entry.option}" if entry.option else name, seed=entry.seed)


def needs_of(entry: Entry) -> list[Entry]:
    """The entries that must be done before this one."""
    return [_needed(entry, name) for name in ARMS[entry.name].needs]


def _cleared(folder: Path) -> None:
    """An entry begins in an empty folder: what a former attempt left has no meaning."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name in KEPT:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _certified(ready: Ready, delivered: Delivered, folder: Path) -> Certificate:
    """Every limit on the exported file; a busy moment may pass, as it does for a run."""
    precision, file = ready.recipe.budget.precision, folder / "model.onnx"
    quantized = precision == "int8"
    # Arms train in channels last; the file and the folder take torch's plain layout.
    delivered.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    export(
        delivered.model,
        ready.sample,
        file,
        precision,
        calibration=ready.feed.calibrating() if quantized else None,
        tolerance=math.inf if quantized else None,
    )
    for _ in range(LOOKS):
        found = certify(file, delivered.graph, ready.bounds, tuple(ready.sample.shape), precision)
        if found.meets:
            break
    found.save(folder / "certificate.json")
    return found


def _tested(ready: Ready, guard: Guarded, delivered: Delivered, folder: Path) -> Mapping[str, Any]:
    """Accuracy on validation, and on test, which is asked for once; in few bits the file's."""
    test = guard.test()

    def on(quality: Quality) -> dict[str, float]:
        return {"loss": quality.loss, "accuracy": quality.accuracy}

    found = {"validation": on(evaluate(delivered.model, guard.validation()))}
    network = on(evaluate(delivered.model, test))
    if ready.recipe.budget.precision == "fp32":
        return {**found, "test": network}
    of_file = on(evaluate(Exported(folder / "model.onnx"), test))
    return {**found, "test": of_file, "test_network": network}


def _check_bill(terms: Terms, ready: Ready, delivered: Delivered, entry: Entry) -> None:
    step = step_compute(Compute.macs_of(delivered.graph), ready.feed)
    off = delivered.spent - terms.compute
    if abs(off) > step:
        parts: Sequence[str] = [f"{what} {macs:.4g}" for what, macs in delivered.bill.items()]
        raise BudgetError(
            f"{entry}: expected {terms.compute:.4g} multiply-adds to be spent, to within one "
            f"training step of {step:.3g}, got {delivered.spent:.4g} ({', '.join(parts)}); "
            "train longer, so that what else the arm does fits in"
        )

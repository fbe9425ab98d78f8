"""The parts of a run, put together: here and nowhere else."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easearch import record
from easearch.budget import PATIENT_S, Certificate, certify
from easearch.budget.utilization import measurable, share_of
from easearch.errors import BudgetError, FolderError, TrainingError
from easearch.exporting import Exported, ExportReport, export
from easearch.graph import Graph
from easearch.growth.checkpoint import ARCHITECTURE, WEIGHTS, write
from easearch.growth.events import Event, Note, Phase, Step, Watcher
from easearch.growth.loop import Grower
from easearch.growth.state import State
from easearch.growth.training import Quality, evaluate
from easearch.preflight.ready import Ready
from easearch.preflight.uniform import widest_uniform
from easearch.recipe import built_criterion
from easearch.reporting import write_report
from easearch.reporting.digits import trust
from easearch.roles import Bound, Criterion
from easearch.scoring import AdaptiveSampleSize
from easearch.selection import selector

LOST = 0.02
"""A file in few bits that loses more of the test accuracy is worth a note."""
WRITTEN = (
    WEIGHTS,
    ARCHITECTURE,
    "layers.json",
    "history.jsonl",
    "steps.jsonl",
    "model.onnx",
    "certificate.json",
    "run.json",
    "report.html",
)
"""Files of a network that is delivered."""
TRIES = 3
"""How often a smaller plan is grown when the exported file misses a limit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A finished run: the network, what the growth rounds did, the proof, and where it all lies."""

    model: nn.Module
    steps: Sequence[Step]
    certificate: Certificate
    path: Path
    summary: Mapping[str, Any]
    front: tuple[Run, ...] = ()
    """The runs of all limits, smallest first, where there are several; this one is the largest's
    network.
    """


def verify(graph: Graph, bounds: Sequence[Bound]) -> dict[str, float]:
    """Measured over allowed cost of a whole network, for limits that have to be measured."""
    return {b.meter.name: share_of(b, graph) for b in bounds if measurable(b)}


def _drop(stage: Path) -> None:
    """Take a stage's two files away, and its folder if nothing else lies there."""
    if stage.is_symlink():
        return
    for name in (WEIGHTS, ARCHITECTURE):
        (stage / name).unlink(missing_ok=True)
    with suppress(OSError):
        stage.rmdir()


class Assembly:
    """One run while it goes on."""

    def __init__(self, ready: Ready, folder: Path, watch: Watcher) -> None:
        self.ready, self.recipe = ready, ready.recipe
        self.folder, self.watch = folder, self._noting(watch)
        self.notes: list[str] = list(ready.notes)
        self.device, self.data, self.feed = ready.device, ready.data, ready.feed
        self.sample, self.architecture = ready.sample, ready.seed.architecture
        self.seed_graph = ready.state.graph
        self.exported: ExportReport | None = None
        self.diverged = False
        self.kept = False
        """Whether what lies in the folder is this run's."""

    def run(self) -> Run:
        """Seed to certificate."""
        grower = self.grower()
        with self.recorded(grower):
            self._trained(grower)
        return self.delivered(grower)

    @contextmanager
    def recorded(self, grower: Grower) -> Iterator[None]:
        """A training whose curve is written, should it end before its time."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # what stopped it is the news
                self._write_rows(grower)
            raise

    def _trained(self, grower: Grower) -> None:
        """Train and grow; a run whose loss is no number any more goes back to its last good stage.

        Raises:
            TrainingError: there is none.
        """
        try:
            grower.run()
        except TrainingError as error:
            if not grower.fall_back():
                raise
            self.diverged = True
            self.watch(
                Note(
                    text=f"{error}; the network of stage {grower.state.stage}, as it was before "
                    "its growth, is delivered in place of the whole run's"
                )
            )

    def delivered(self, grower: Grower) -> Run:
        """From the grown and trained network to certificate and files.

        The trained network is written before anything else is tried.

        Raises:
            BudgetError: the file misses a limit, and smaller plans do too.
            TrainingError: no training step was made.
        """
        self.keep(grower)
        certificate = self._certified(grower, self.ready.bounds)
        quality = evaluate(grower.state.model, self.feed.test())
        return self._finished(grower, certificate, quality)

    def grower(self, state: State | None = None) -> Grower:
        """The growth loop with the recipe's parts, before its first epoch: towards the limit by the
        recipe's shares of the way, or from limit to limit of a front.

        Args:
            state: where it begins, if not at the seed.
        """
        return Grower(
            state=state or self.ready.state,
            seed_widths=self.seed_graph.widths,
            sample=self.sample.to(self.device),
            feed=self.feed,
            criterion=self._criterion(),
            selector=selector(self.recipe.growth.selector),
            targets=self.ready.targets,
            meters=self.ready.meters,
            training=self.ready.training,
            growing=self.ready.growing,
            watch=self.watch,
            verify=verify,
            floors=self._floors if self.recipe.growth.even else None,
            left=self._save_stage,
            chance=math.log(self.ready.seed.classes),
        )

    def _criterion(self) -> Criterion:
        """The recipe's; with `images: auto` on as many as it needs, and what that took is told."""
        growth = self.recipe.growth
        made = built_criterion(growth)
        if growth.images != "auto":
            return made
        most = self.feed.scoring(0).samples

        def told(found: Any) -> None:
            again = min(2 * found.images, most)
            why = trust(found.held_out, found.rank_correlation)
            text = f"scored again on {again:,} images: on {found.images:,} of them {why}"
            self.watch(Note(text=text))

        return AdaptiveSampleSize(of=made, told=told)

    def _floors(self, bounds: Sequence[Bound]) -> dict[str, int]:
        """`growth.even` of the way from the seed's widths to the uniform ones within bounds."""
        seed, growing = self.seed_graph, self.ready.growing
        uniform = widest_uniform(seed, bounds, growing.width_step, growing.widths, measure=False)
        even = self.recipe.growth.even
        return {
            name: round(width + even * (uniform.widths[name] - width))
            for name, width in seed.widths.items()
        }

    def _save_stage(self, state: State) -> None:
        folder = self.folder / f"stage-{state.stage}"
        write(state.model, self.architecture.grown(state.graph), folder)

    def keep(self, grower: Grower) -> None:
        """Write the trained network, and how it came to be: the folder is of use from now on.

        Raises:
            FolderError: they cannot be written there; the network then lies elsewhere.
            TrainingError: no training step was made.
        """
        if not grower.history:
            raise TrainingError(
                "no training step was made: the compute of the run is spent on scoring and "
                "searching; say more training.epochs or training.compute, or score fewer images"
            )
        # In torch's plain layout, as `load` gives it: the same bits come out of both.
        grower.state.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        grown = self.architecture.grown(grower.state.graph)
        try:
            self._check_free()
            write(grower.state.model, grown, self.folder)
        except OSError as error:
            rescue = Path(tempfile.mkdtemp(prefix=f"easearch-{self.folder.name}-"))
            write(grower.state.model, grown, rescue)
            raise FolderError(f"{error}; the trained network lies in '{rescue}' instead") from error
        self.kept = True
        layers = record.layer_costs(self.ready.meters, self.seed_graph, grower.state.graph)
        record.write_json(self.folder / "layers.json", layers)
        self._write_rows(grower)

    def _check_free(self) -> None:
        """Refuse to write over what others put into the folder while the network was trained.

        Raises:
            FolderError: with its names.
        """
        there = [name for name in WRITTEN if os.path.lexists(self.folder / name)]
        if there and not self.kept:
            raise FolderError(
                f"expected no other files than the run's in '{self.folder}', got "
                f"{', '.join(there)}, which was put there meanwhile"
            )

    def _write_rows(self, grower: Grower) -> None:
        if grower.history:
            record.write_rows(self.folder / "history.jsonl", grower.history)
            record.write_rows(self.folder / "steps.jsonl", grower.steps)

    def _certified(self, grower: Grower, bounds: Sequence[Bound]) -> Certificate:
        """Export and certify; a file over its limit sends the run back a growth, and so, once, does
        one that is so much cheaper than predicted that it leaves room.
        """
        tighter, roomy = 1.0, False
        for _ in range(TRIES):
            certificate = self._export(grower, bounds)
            done = roomy or self.diverged or not grower.steps
            over = certificate.missed
            if not over and (done or certificate.room == 1.0):
                return certificate
            if not over:
                roomy, tighter = True, certificate.room
                self._step_back(
                    grower, tighter, "the exported file leaves much of its limits unused"
                )
                continue
            worst = max((p.measured or p.predicted) / p.limit for p in over)
            told = ", ".join(
                f"{p.measured or p.predicted:.4g} {p.unit} of {p.limit:.4g}" for p in over
            )
            tighter /= worst * 1.01
            self._step_back(grower, tighter, f"the exported file missed its limit ({told})")
        certificate = self._export(grower, bounds)
        if certificate.missed:
            raise BudgetError(
                f"the exported file still misses its limit after {TRIES} smaller plans ({told}); "
                "raise the limit, or measure on a quieter machine"
            )
        return certificate

    def _step_back(self, grower: Grower, factor: float, why: str) -> None:
        """Grow and train again within limits times a factor, and say so."""
        chosen = f"the run stepped back and chose again, with limits at {100 * factor:.1f} %"
        self.watch(Note(text=f"{why}: {chosen}"))
        with self.recorded(grower):
            grower.retry(factor)
        self.keep(grower)
        for dropped in range(len(grower.steps), len(grower.growing.at)):
            _drop(self.folder / f"stage-{dropped}")

    def _export(self, grower: Grower, bounds: Sequence[Bound]) -> Certificate:
        self.watch(Phase(name="export", detail="model.onnx"))
        file = self.folder / "model.onnx"
        precision = self.recipe.budget.precision
        report = export(
            grower.state.model,
            self.sample,
            file,
            precision,
            calibration=self.feed.calibrating() if precision == "int8" else None,
            # A run is not thrown away for a coarse file: what it can do is told beside.
            tolerance=math.inf if precision == "int8" else None,
        )
        self.exported = report
        self.watch(Phase(name="certify", detail=f"parity {report.difference:.1g}"))
        shape = tuple(self.sample.shape)
        certificate = certify(
            file, grower.state.graph, bounds, shape, precision, pauses_s=PATIENT_S
        )
        certificate.save(self.folder / "certificate.json")
        for text in (*certificate.undecided, *certificate.surprises):
            self.watch(Note(text=text))
        return certificate

    def _finished(self, grower: Grower, certificate: Certificate, quality: Quality) -> Run:
        """Write everything that a reader of the run wants."""
        folder, final, seed = self.folder, grower.state.graph, self.seed_graph
        bounds, meters = self.ready.bounds, self.ready.meters
        last, last_step = grower.history[-1], next(reversed(grower.steps), None)
        summary = {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "easearch": record.versions().get("easearch"),
            "versions": record.versions(),
            "host": certificate.to_json()["host"],
            "device": self.device,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "precision": self.recipe.budget.precision,
            "status": self._status(grower, last_step),
            "test": {**dataclasses.asdict(quality), "images": len(self.data.test)},
            **self._coarser(quality),
            "validation": {
                "loss": last.validation_loss,
                "accuracy": last.validation_accuracy,
                "images": len(self.data.validation),
            },
            "limits": {b.meter.name: {"limit": b.limit, "unit": b.meter.unit} for b in bounds},
            "seed_cost": {meter.name: meter.cost(seed).total for meter in meters},
            "cost": {meter.name: meter.cost(final).total for meter in meters},
            "params": sum(p.numel() for p in grower.state.model.parameters()),
            "macs": grower.compute.macs_of(final),
            "compute": grower.compute.as_dict(),
            "seconds": {"total": time.perf_counter() - self.ready.started, **grower.seconds},
            "peak_memory_mb": record.peak_memory_mb(),
            "widths": final.widths,
            "frozen": {g.name: g.frozen for g in final.channel_groups if g.frozen is not None},
            "notes": self.notes,
        }
        record.write_json(folder / "run.json", summary)
        write_report(folder)
        return Run(
            model=grower.state.model.eval(),
            steps=tuple(grower.steps),
            certificate=certificate,
            path=folder,
            summary=summary,
        )

    def _status(self, grower: Grower, last: Step | None) -> str:
        if self.diverged or grower.diverged:
            return "diverged"
        return "no_gain_left" if last and not last.binding else "budget_full"

    def _coarser(self, quality: Quality) -> dict[str, Any]:
        """What the exported file is worth, where it does not compute what the network does."""
        report = self.exported
        if report is None or report.precision == "fp32":
            return {}
        found = evaluate(Exported(self.folder / "model.onnx"), self.feed.test())
        lost = quality.accuracy - found.accuracy
        if lost > LOST:
            self.watch(
                Note(
                    text=f"in {report.precision} the exported file gets {found.accuracy:.1%} of "
                    f"the test images right, the network {quality.accuracy:.1%}; "
                    "`easearch export --precision fp32` writes one that loses nothing"
                )
            )
        return {
            "test_exported": {**dataclasses.asdict(found), "images": len(self.data.test)},
            "agreement": report.agreement,
        }

    def _noting(self, watch: Watcher) -> Watcher:
        def noted(event: Event) -> None:
            if isinstance(event, Note):
                self.notes.append(event.text)
            watch(event)

        return noted

"""The parts of a run, put together: here and nowhere else."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

import easearch.data
from easearch import record
from easearch.budget import Budget, Certificate, Latency, certify, find_meter
from easearch.errors import BudgetError, RecipeError
from easearch.exporting import export
from easearch.feed import DataFeed
from easearch.graph import Graph
from easearch.growth.checkpoint import write
from easearch.growth.events import Event, Note, Phase, Step, Watcher
from easearch.growth.loop import Grower, Growing
from easearch.growth.state import State, begin
from easearch.growth.training import Quality, Training, evaluate
from easearch.recipe import Recipe
from easearch.reporting import write_report
from easearch.roles import Bound, Meter
from easearch.scoring import criterion
from easearch.seed import own_factory, seed_of
from easearch.selection import selector

REPORTED = ("latency", "macs", "params", "memory")
LOOKS = 3
"""How often a file is measured before a miss is believed: busy moments pass."""
MARGIN = 1.01
"""A plan is measured before it is trained: the exported file may be that much slower."""
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


class Assembly:
    """One run while it goes on."""

    def __init__(self, recipe: Recipe, folder: Path, watch: Watcher) -> None:
        self.recipe, self.folder, self.watch = recipe, folder, self._noting(watch)
        self.notes: list[str] = []
        self._started = time.perf_counter()
        self.device = _training_device(recipe)
        factory = own_factory(recipe)
        self.watch(Phase(name="load", detail=recipe.data.name))
        part = recipe.data
        self.data = easearch.data.load(
            part.name,
            root=part.root,
            validation=part.validation,
            seed=recipe.seed,
            download=part.download,
            size=part.size,
            channels=part.channels,
        )
        self.feed = DataFeed(dataset=self.data, recipe=recipe, device=self.device)
        self.sample = torch.zeros(1, *self.data.shape)
        self.seed = seed_of(recipe, factory, self.data)
        self.architecture = self.seed.architecture

    def run(self) -> Run:
        """Seed to certificate."""
        recipe = self.recipe
        model = self.seed.build()
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        training = self._training()
        state = begin(model, self.sample.to(self.device), training)
        seed = state.graph
        self.watch(Phase(name="measure", detail=f"the seed on {recipe.budget.device}"))
        budget = Budget(dict(recipe.budget.limits), recipe.budget.device)
        bounds = budget.bounds(seed)
        meters = self._meters(bounds)
        grower = Grower(
            state=state,
            sample=self.sample.to(self.device),
            feed=self.feed,
            criterion=criterion(recipe.growth.criterion, step=recipe.growth.step),
            selector=selector(recipe.growth.selector),
            bounds=bounds,
            meters=meters,
            training=training,
            growing=self._growing(budget),
            watch=self.watch,
            verify=self._verify(bounds),
            left=self._save_stage,
        )
        grower.run()
        certificate = self._certified(grower, bounds)
        quality = evaluate(grower.state.model, self.feed.test())
        return self._finished(grower, seed, bounds, meters, certificate, quality)

    def _training(self) -> Training:
        part = self.recipe.training
        return Training(
            epochs=part.epochs,
            rate=part.rate,
            momentum=part.momentum,
            weight_decay=part.weight_decay,
            label_smoothing=part.label_smoothing,
            warmup=part.warmup,
        )

    def _growing(self, budget: Budget) -> Growing:
        part, epochs = self.recipe.growth, self.recipe.training.epochs
        at = tuple(max(round(moment * epochs), 1) for moment in part.at)
        if len(set(at)) < len(at) or at[-1] >= epochs:
            raise RecipeError(
                "growth.at: expected moments in different epochs before the last, got "
                f"{list(part.at)} of {epochs} epochs, that is epochs {list(at)}; "
                "train longer or grow less often"
            )
        step = part.width_step
        if step is None:
            self.watch(Phase(name="measure", detail="the step of widths"))
            step = budget.step()
        return Growing(stages=part.stages, at=at, line_search=part.line_search, width_step=step)

    def _meters(self, bounds: Sequence[Bound]) -> list[Meter]:
        """The bounds' own meters first, then the usual ones, to be reported."""
        meters = {bound.meter.name: bound.meter for bound in bounds}
        for name in REPORTED:
            if name not in meters:
                meters[name] = find_meter(name, self.recipe.budget.device)
        return list(meters.values())

    def _verify(self, bounds: Sequence[Bound]) -> Callable[[Graph], dict[str, float]]:
        """Measured over allowed cost of a whole network, for limits that have to be measured."""

        def verify(graph: Graph) -> dict[str, float]:
            found = {}
            for bound in bounds:
                if isinstance(bound.meter, Latency):
                    measured, _ = bound.meter.whole(graph)
                    found[bound.meter.name] = MARGIN * measured / bound.limit
            return found

        return verify

    def _save_stage(self, state: State) -> None:
        folder = self.folder / f"stage-{state.stage}"
        write(state.model, self.architecture.grown(state.graph), folder)

    def _certified(self, grower: Grower, bounds: Sequence[Bound]) -> Certificate:
        """Export and certify; a file over its limit sends the run back a growth."""
        tighter = 1.0
        for _ in range(TRIES):
            certificate = self._export(grower, bounds)
            if certificate.meets:
                return certificate
            over = [p for p in certificate.proofs if not p.meets]
            worst = max((p.measured or p.predicted) / p.limit for p in over)
            told = ", ".join(
                f"{p.measured or p.predicted:.4g} {p.unit} of {p.limit:.4g}" for p in over
            )
            tighter /= worst * 1.01
            self.watch(
                Note(
                    text=f"the exported file missed its limit ({told}): the run stepped back and "
                    f"grew again, with limits at {100 * tighter:.1f} %"
                )
            )
            grower.retry(tighter)
            for dropped in range(len(grower.steps), len(self.recipe.growth.at)):
                shutil.rmtree(self.folder / f"stage-{dropped}", ignore_errors=True)
        certificate = self._export(grower, bounds)
        if not certificate.meets:
            raise BudgetError(
                f"the exported file still misses its limit after {TRIES} smaller plans ({told}); "
                "raise the limit, or measure on a quieter machine"
            )
        return certificate

    def _export(self, grower: Grower, bounds: Sequence[Bound]) -> Certificate:
        self.watch(Phase(name="export", detail="model.onnx"))
        file = self.folder / "model.onnx"
        report = export(grower.state.model, self.sample, file)
        self.watch(Phase(name="certify", detail=f"parity {report.difference:.1g}"))
        for _ in range(LOOKS):
            certificate = certify(file, grower.state.graph, bounds, tuple(self.sample.shape))
            if certificate.meets:
                break
        certificate.save(self.folder / "certificate.json")
        return certificate

    def _finished(
        self,
        grower: Grower,
        seed: Graph,
        bounds: Sequence[Bound],
        meters: Sequence[Meter],
        certificate: Certificate,
        quality: Quality,
    ) -> Run:
        """Write everything that a reader of the run wants."""
        folder, final = self.folder, grower.state.graph
        # In torch's plain layout, as `load` gives it: the same bits come out of both.
        grower.state.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        write(grower.state.model, self.architecture.grown(final), folder)
        record.write_rows(folder / "history.jsonl", grower.history)
        record.write_rows(folder / "steps.jsonl", grower.steps)
        record.write_json(folder / "layers.json", record.layer_costs(meters, seed, final))
        recipe = self.recipe
        if recipe.evidence is not None:
            shutil.copyfile(recipe.evidence, folder / "evidence.json")
            recipe = recipe.model_copy(update={"evidence": str(folder / "evidence.json")})
        (folder / "recipe.yaml").write_text(recipe.dump(folder))
        last = grower.history[-1]
        summary = {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "easearch": record.versions().get("easearch"),
            "versions": record.versions(),
            "host": certificate.to_json()["host"],
            "device": self.device,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "status": "budget_full" if grower.steps[-1].binding else "no_gain_left",
            "test": {**dataclasses.asdict(quality), "images": len(self.data.test)},
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
            "seconds": {"total": time.perf_counter() - self._started, **grower.seconds},
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

    def _noting(self, watch: Watcher) -> Watcher:
        def noted(event: Event) -> None:
            if isinstance(event, Note):
                self.notes.append(event.text)
            watch(event)

        return noted


def _training_device(recipe: Recipe) -> str:
    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        raise RecipeError("device: expected a CUDA device, got none; say `device: cpu` or `auto`")
    return "cuda" if recipe.device != "cpu" and there else "cpu"

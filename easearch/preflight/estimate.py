"""What a whole run will take, from a few timed steps: seconds by part, memory, multiply-adds."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from easearch.budget import Latency
from easearch.budget.time_cap import TimeCap
from easearch.exporting import export
from easearch.graph import Graph
from easearch.growth.channel_pruning import keepable
from easearch.growth.compute import Compute, counted
from easearch.growth.events import Watcher
from easearch.growth.front import weighted
from easearch.growth.surgery import apply
from easearch.growth.training import RECALIBRATED
from easearch.moves import Candidate, NewNeuron
from easearch.preflight.reach import stops
from easearch.preflight.ready import Ready
from easearch.preflight.timer import Timer, model_of
from easearch.preflight.timing import Pace, Scored, between, clocked, step_peak_mb
from easearch.scoring.worth import worth
from easearch.selection import selector

EXPORT_S = 10.0
"""Seconds that exporting a network takes about, where it was not timed."""
WHOLES = 2
"""How often the network is timed as a whole: before it is trained, and as a file."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take on the machine where it was estimated."""

    seconds: Mapping[str, float]
    """By part of the run."""
    memory_mb: float
    """Peak of the process (on a GPU: of torch's tensors there)."""
    compute: Mapping[str, float]
    """Multiply-adds by purpose, and their total."""
    device: str
    """Where it trains: `cpu`, or the name of the GPU."""
    cores: int
    threads: int
    images: int
    """Samples that one scoring takes."""
    at_most: bool
    """Whether it may do with fewer: time and compute are then the most that it can take."""
    share: float
    """Of one core, that the timed steps had: well below 1 on a busy machine."""
    untimed: tuple[str, ...] = ()
    """Parts that were not timed, since the time for it was up: taken in proportion to others."""

    @property
    def total(self) -> float:
        """Seconds of the whole run."""
        return sum(self.seconds.values())


def estimated(
    ready: Ready,
    stages: Sequence[Graph],
    watch: Watcher = lambda event: None,
    cap: TimeCap | None = None,
) -> Estimate:
    """Time a few steps of the run's parts, at the seed's widths and at those of its last stages.

    Args:
        ready: the run; its model takes a few steps at rate 0.
        stages: the network after each growth, as it is expected.
        watch: is told what is timed.
        cap: on the time for it; past it the seed's numbers are scaled by multiply-adds.

    Raises:
        ScoringError: the criterion cannot score the network.
        ExportError: the network cannot be exported.
    """
    run, timer = _Run(ready, stages), Timer(watch, cap or TimeCap())
    numbers, growths = sorted({0, len(stages) - 1, len(stages)}), len(ready.growing.at)
    graphs = [run.graphs[number] for number in numbers]
    scores, candidates = timer.scores(ready, [run.graphs[k] for k in numbers if k < growths])
    paces = timer.paces(ready, graphs)
    if all(isinstance(one.move, NewNeuron) and one.move.silent for one in candidates):
        run.tries = 1  # what nobody reads yet has no step to be searched
    timer.say("selection and surgery")
    selection, surgery = _grown(ready, candidates) if growths else (_cut(run), 0.0)
    last, networks = run.model(len(stages)), len(ready.points)
    exporting = EXPORT_S
    if timer.goes_on("export", "an export"):
        exporting = _exported(ready, last) + _timed(ready, run.graphs[-1])
    passes = run.passes(scores)
    seconds = {
        "load": ready.loaded,
        "training": run.trained(paces, passes),
        "validation": run.looked(paces, passes),
        "scoring": run.scored(scores) + run.weighing[0],
        "selection": selection * len(stages),
        "line search": run.searched(paces) + surgery * run.tries * growths,
        "export, certificate": networks * exporting,
    }
    return Estimate(
        seconds=seconds,
        memory_mb=max(
            [step_peak_mb(last, ready.feed, ready.training), *(one.peak_mb for one in scores)]
        ),
        compute=run.compute(scores, passes),
        device=torch.cuda.get_device_name() if ready.device == "cuda" else "cpu",
        cores=_cores(),
        threads=torch.get_num_threads(),
        images=ready.feed.scoring(0).samples,
        at_most=growths > 0 and ready.recipe.growth.images == "auto",
        share=min(one.share for one in paces),
        untimed=tuple(timer.untimed),
    )


class _Run:
    """The arithmetic of a run: how often everything is done, and on which network."""

    def __init__(self, ready: Ready, stages: Sequence[Graph]) -> None:
        self.ready = ready
        self.graphs = [ready.state.graph, *stages]
        self.macs = [float(Compute.macs_of(graph)) for graph in self.graphs]
        self.tries = len(ready.growing.line_search) + 1
        self.networks = len(ready.points)
        """Those that are delivered: of a front all but the seed."""
        self.growths = len(ready.growing.at)

    def passes(self, scores: Sequence[Scored]) -> list[float]:
        """Over the training samples, by each network."""
        how, at = self.ready.training, self.ready.growing.at
        trunk = self.ready.recipe.front.trunk if self.networks > 1 else 1.0
        ends = [*(moment / how.epochs for moment in at), trunk]
        work = [s + t for s, t in zip(self._scorings(scores), self._searches(), strict=True)]
        spent, found = 0.0, []
        for end, growth in zip(ends, [*work, self.weighing[1]], strict=True):
            found.append(max(end * how.whole - spent, 0.0))
            spent += found[-1] + growth
        # What begins at its largest size is never another.
        found = [0.0] * (len(self.macs) - len(found)) + found
        if self.networks > 1:
            left = max(how.whole - spent, 0.0)
            parts = weighted(self.macs[1:], self.ready.recipe.front.shares)
            found[1:] = [one + left * part for one, part in zip(found[1:], parts, strict=True)]
        step = 3 * self.ready.feed.samples
        return [one / (step * macs) for one, macs in zip(found, self.macs, strict=True)]

    def model(self, number: int) -> nn.Module:
        """The network after so many growths; in its channels stands what the seed's hold."""
        return model_of(self.ready, self.graphs[number])

    def trained(self, paces: Sequence[Pace], passes: Sequence[float]) -> float:
        steps = self.ready.feed.steps
        return sum(e * steps * t for e, t in zip(passes, self._at(paces, "step"), strict=True))

    def looked(self, paces: Sequence[Pace], passes: Sequence[float]) -> float:
        """After every pass at the validation part, of what is delivered at the test part."""
        data = self.ready.data
        each = self._at(paces, "validated")
        seen = sum(e * t for e, t in zip(passes, each, strict=True))
        return seen * len(data.validation) + sum(each[-self.networks :]) * len(data.test)

    def searched(self, paces: Sequence[Pace]) -> float:
        """The line search, the running statistics measured anew, and one look more."""
        each = self._at(paces, "searched")[1 : self.growths + 1]
        return sum(each) * self.ready.feed.searching(0).samples * (self.tries + 2)

    def scored(self, scores: Sequence[Scored]) -> float:
        return sum(self._at(scores, "seconds")[: self.growths]) if scores else 0.0

    def compute(self, scores: Sequence[Scored], passes: Sequence[float]) -> dict[str, float]:
        """As a run counts it: a training step is three forward passes."""
        samples = self.ready.feed.samples
        training = sum(3 * e * samples * m for e, m in zip(passes, self.macs, strict=True))
        scoring, search = sum(self._scorings(scores)) + self.weighing[1], sum(self._searches())
        return Compute(training=training, scoring=scoring, search=search).as_dict()

    def _scorings(self, scores: Sequence[Scored]) -> list[float]:
        """Multiply-adds of every growth's scoring."""
        return self._at(scores, "work")[: self.growths] if scores else []

    @cached_property
    def weighing(self) -> tuple[float, float]:
        """Seconds and multiply-adds of telling what a trunk's channels are worth, where its end is
        cut: those of a batch, times their number.
        """
        if self.networks == 1 or self.ready.recipe.front.smaller != "cut":
            return 0.0, 0.0
        model, graph, scoring = self.model(-1), self.graphs[-1], self.ready.feed.scoring(0)
        few = [next(iter(scoring))]
        with counted() as work:
            worth(model, graph, few, F.cross_entropy)
        seconds, _ = clocked(lambda: worth(model, graph, few, F.cross_entropy))
        times = scoring.samples / len(few[0][1])
        return times * seconds, times * work.macs

    def _searches(self) -> list[float]:
        """Multiply-adds of every growth's line search, and of measuring the statistics anew."""
        images = self.ready.feed.searching(0).samples
        again = min(self.ready.feed.scoring(0).samples, RECALIBRATED)
        return [
            (before + (self.tries - 1) * after) * images + after * again
            for before, after in list(pairwise(self.macs))[: self.growths]
        ]

    def _at(self, measured: Sequence[Pace] | Sequence[Scored], what: str) -> list[float]:
        known = [one.macs for one in measured]
        values = [float(getattr(one, what)) for one in measured]
        return [between(macs, known, values) for macs in self.macs]


def _grown(ready: Ready, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """Seconds of the first growth's selection and of its surgery."""
    graph = ready.state.graph
    chosen = selector(ready.recipe.growth.selector)
    bounds = stops(graph, ready.targets[0])
    growing = ready.growing
    ranges = growing.ranges(0, graph.widths)
    selection, plan = clocked(
        lambda: chosen.select(candidates, graph, bounds, growing.width_step, ranges)
    )
    surgery, _ = clocked(lambda: apply(ready.state.model, graph, plan.moves))
    return selection, surgery


def _cut(run: _Run) -> float:
    """Seconds of choosing what a trunk keeps within the smallest limits, its channels all alike."""
    ready, trunk = run.ready, run.graphs[-1]
    alike = {group.name: torch.ones(group.width) for group in trunk.growable}
    least, kept = keepable(trunk, alike, ready.state.graph.widths)
    chosen, step = selector(ready.recipe.growth.selector), ready.growing.width_step
    ranges = dict(ready.growing.widths)
    return clocked(lambda: chosen.select(kept, least, ready.points[0], step, ranges))[0]


def _exported(ready: Ready, model: nn.Module) -> float:
    """Seconds of writing and checking the file, in the run's precision."""
    precision = ready.budget.precision
    quantized = precision == "int8"
    with tempfile.TemporaryDirectory() as folder:
        write = partial(
            export,
            model,
            ready.sample,
            Path(folder) / "model.onnx",
            precision,
            calibration=ready.feed.calibrating() if quantized else None,
            tolerance=math.inf if quantized else None,
        )
        return clocked(write)[0]


def _timed(ready: Ready, graph: Graph) -> float:
    """Seconds of measuring the whole network, where a limit has to be measured and can be."""
    meters = [bound.meter for bound in ready.bounds if isinstance(bound.meter, Latency)]
    there = [meter for meter in meters if meter.device.stopwatch is not None]
    return sum(WHOLES * clocked(partial(meter.whole, graph))[0] for meter in there)


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

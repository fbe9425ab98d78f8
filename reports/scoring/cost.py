"""What scoring costs, in training passes over the same images, and how exact its eigenvalues are.

    EASEARCH_DATA=folder python reports/scoring/cost.py table|exact|parts|width|peak [--rounds 3]

CPU time on one thread; medians of interleaved rounds, each divided by the median of a training pass
(forward, backward, SGD step, batches of 128) over the same images. Scored is what a scoring solves:
both ends of the spectrum of all channels, in micro-batches, all images together.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import easearch as ea
import easearch.data
from easearch.errors import DataError
from easearch.models import build
from easearch.scoring.samples.capture import Captured, Capturer
from easearch.scoring.samples.passes import Part, Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.spectrum.directions import lockstep
from easearch.scoring.spectrum.eigen import Ends
from easearch.scoring.units.unit import Unit

BATCH, MICRO = 128, 64
SCOPES = ("layer", "rows", "unit")
KEPT = 8e9
"""Bytes: more than any subject here leaves behind."""
Data = list[tuple[Tensor, Tensor]]


class Counting(Part):
    """A part that counts the products it is asked for, channel by channel."""

    def __init__(self, unit: Unit, number: int) -> None:
        super().__init__(unit, number)
        self.asked: list[int] = []

    def product(self, vectors: Tensor) -> Any:
        """One more."""
        self.asked.append(int(vectors.any(1).sum()))
        return super().product(vectors)


class Subject:
    """A network after a little training, and its data."""

    def __init__(
        self, images: int, width: float = 1.0, trained: int = 8192, pictured: bool = True
    ) -> None:
        torch.manual_seed(0)
        self.source, self.data = pictures(images, 2, pictured)
        self.model = build("mobilenet_v1", channels=3, width=width)
        self.model = self.model.to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        _, seen = pictures(trained or BATCH, 1, pictured)
        for _ in range(3 if trained else 0):
            self.train(seen)
        self.graph = ea.trace(self.model, self.data[0][0][:1])
        self._wires = TracedProgram(self.model)
        self.micro(MICRO)

    def micro(self, size: int) -> None:
        """Cut the batches for scoring."""
        self.pieces = [
            (last(x[at : at + size]), y[at : at + size])
            for x, y in self.data
            for at in range(0, len(x), size)
        ]

    def train(self, data: Data | None = None) -> None:
        """One pass."""
        self.model.train()
        for x, y in data or self.data:
            self._optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()
            self._optimizer.step()
        self.model.eval()

    def parts(self, scope: Any) -> tuple[list[Counting], Callable[[Any, Any], Captured]]:
        """Every group's, and what captures a batch for them."""
        groups = self.graph.growable
        units = [Unit(self.model, self.graph, group, scope, self._wires) for group in groups]
        values = {edge for unit in units for edge in unit.entrances}
        exits = {edge for unit in units for edge in unit.exits}
        capturer = Capturer(self.model, values, exits, self._wires)
        split = [Counting(unit, number) for number, unit in enumerate(units)]
        return split, lambda x, y: capturer.capture(x, y, F.cross_entropy)

    def solve(self, scope: str, memory: float) -> tuple[list[Ends], list[Counting]]:
        """Both ends of every channel's spectrum."""
        split, capture = self.parts(scope)
        passes = Passes(capture, self.pieces, memory)
        generator = torch.Generator().manual_seed(0)
        return lockstep(list(split), passes, "lanczos", generator), split


def last(x: Tensor) -> Tensor:
    """Channels last."""
    return x.contiguous(memory_format=torch.channels_last)


def pictures(images: int, seed: int, wanted: bool) -> tuple[str, Data]:
    """CIFAR-10 where it is wanted and there, else colour noise."""
    try:
        found = easearch.data.load("cifar10") if wanted else None
    except DataError:
        found = None
    if found is None:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(images, 3, 32, 32, generator=generator)
        y = torch.randint(10, (images,), generator=generator)
        return "noise", [(last(a), b) for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True)]
    batches = easearch.data.Batches(
        found.train, found.mean, found.std, BATCH, shuffle=True, seed=seed, limit=images
    )
    return "CIFAR-10", [(last(x), y) for x, y in batches]


def timed(work: dict[Any, Callable[[], Any]], rounds: int) -> dict[Any, float]:
    """Median CPU seconds of every part, after a round that warms up."""
    taken: dict[Any, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, one in work.items():
            started = time.process_time()
            one()
            if number:
                taken[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in taken.items()}


def table(images: int, rounds: int) -> None:
    """Cost of the three scopes, kept and streaming; steps taken."""
    subject = Subject(images)
    # Trained as it is now, and no further: all rounds score the same network.
    state = {key: value.clone() for key, value in subject.model.state_dict().items()}

    def train() -> None:
        subject.train()
        subject.model.load_state_dict(state)

    counted: dict[str, list[Counting]] = {}

    def solve(scope: str, memory: float) -> None:
        _, counted[scope] = subject.solve(scope, memory)

    work: dict[Any, Callable[[], Any]] = {"training": train}
    for scope in SCOPES:
        for memory in (KEPT, 0.0):
            work[scope, memory] = lambda s=scope, m=memory: solve(s, m)
    found = timed(work, rounds)
    one = found["training"]
    print(
        f"{subject.source}, {images} images, a training pass {one:.3f} s, micro-batches of {MICRO}"
    )
    for scope in SCOPES:
        split = counted[scope]
        channels = sum(part.unit.width for part in split)
        products = sum(sum(part.asked) for part in split) / channels
        steps = "/".join(str(len(part.asked)) for part in split)
        kept, streaming = found[scope, KEPT] / one, found[scope, 0.0] / one
        print(
            f"{scope}: kept {kept:.2f}, streaming {streaming:.2f}; "
            f"{products:.1f} products a channel, steps {steps}"
        )


def exact(images: int, rounds: int) -> None:
    """Errors of all channels' ends against whole matrices, all columns on all images."""
    subject = Subject(images)
    print(f"{subject.source}, {images} images; errors relative to the eigenvalue's own size")
    whole: dict[str, list[Tensor]] = {}
    for scope in SCOPES:
        if scope == "rows":
            continue
        split, capture = subject.parts(scope)
        passes = Passes(capture, subject.pieces, KEPT)
        whole[scope] = [matrices(part, passes) for part in split]
    for scope in SCOPES:
        ends, split = subject.solve(scope, KEPT)
        low, high = [], []
        for found, part, S in zip(ends, split, whole.get(scope, whole["unit"]), strict=True):
            size = part.unit.theta.shape[1]  # the writer's rows come first
            values = torch.linalg.eigvalsh(S[:, :size, :size])
            low.append((found.low - values[:, 0]).abs() / values[:, 0].abs())
            high.append((found.high - values[:, -1]).abs() / values[:, -1].abs())
        print(f"{scope}: lambda_min {told(torch.cat(low))}; lambda_max {told(torch.cat(high))}")


def matrices(part: Part, passes: Passes) -> Tensor:
    """(C, D, D): every channel's, column by column."""
    theta, columns = part.unit.theta, []
    for column in range(theta.shape[1]):
        vectors = torch.zeros_like(theta)
        vectors[:, column] = 1
        product, samples = part.product(vectors), 0
        for batch in passes:
            batch.multiply(part, product)
            samples += batch.captured.samples
        columns.append(product.total().double() / samples)
    S = torch.stack(columns, dim=2)
    return (S + S.mT) / 2


def told(wrong: Tensor) -> str:
    """Median and 95th percentile."""
    return f"{wrong.median():.2%} median, {wrong.quantile(0.95):.2%} p95"


def parts(images: int, rounds: int) -> None:
    """Capture, first pass and a product, by the size of micro-batches."""
    subject = Subject(images, trained=1024)
    work: dict[Any, Callable[[], Any]] = {"training": subject.train}
    for size in (16, 32, 64, 128):
        subject.micro(size)
        pieces = list(subject.pieces)
        for scope in SCOPES:
            split, capture = subject.parts(scope)
            passes = Passes(capture, pieces, KEPT)
            vectors = [torch.randn_like(part.unit.theta) for part in split]
            multiply(split, vectors, passes)  # made and kept before any round
            if scope == "unit":
                work[size, "capture"] = lambda c=capture, p=pieces: [c(x, y) for x, y in p] and None
            work[size, scope, "product"] = lambda s=split, v=vectors, p=passes: multiply(s, v, p)
            work[size, scope, "a pass, streaming"] = (
                lambda s=split, v=vectors, c=capture, p=pieces: multiply(s, v, Passes(c, p, 0.0))
            )
    found = timed(work, rounds)
    one = found.pop("training")
    print(f"{subject.source}, {images} images, a training pass {one:.3f} s")
    for name, seconds in found.items():
        print(f"micro-batches of {', '.join(map(str, name))}: {seconds / one:.2f}")


def multiply(split: list[Counting], vectors: list[Tensor], passes: Passes) -> None:
    """A product for every group, in one pass."""
    products = [part.product(own) for part, own in zip(split, vectors, strict=True)]
    for batch in passes:
        for part, product in zip(split, products, strict=True):
            batch.multiply(part, product)
    for product in products:
        product.total()


def width(images: int, rounds: int) -> None:
    """Ratios to a training pass against widths and numbers of images, joint."""
    for scale, number in (
        (0.5, images),
        (1, images),
        (2, images),
        (1, images // 2),
        (1, 2 * images),
    ):
        subject = Subject(number, scale, trained=1024)
        work = {
            "training": subject.train,
            "kept": lambda s=subject: s.solve("unit", KEPT),
            "streaming": lambda s=subject: s.solve("unit", 0.0),
        }
        found = timed(work, rounds)
        one = found["training"]
        kept, streaming = found["kept"] / one, found["streaming"] / one
        print(
            f"{subject.source}, widths x {scale}, {number} images: training {one:.3f} s, "
            f"joint kept {kept:.2f}, streaming {streaming:.2f}"
        )


def peak(images: int, rounds: int) -> None:
    """MB above a process that holds model and data, each in a process of its own."""
    for what in ("training", *(f"{s} {m}" for s in SCOPES for m in (KEPT, 0.0))):
        for number in (images, 2 * images):
            arguments = [sys.executable, __file__, "peak", "--images", str(number), "--of", what]
            done = subprocess.run(arguments, check=True, capture_output=True, text=True)
            print(f"peak of {what}, {number} images: {float(done.stdout):.0f} MB")


def own_peak(what: str, images: int) -> None:
    """Print this process's."""
    # Noise: to load pictures takes more memory than to score them.
    subject = Subject(images, trained=0, pictured=False)
    before = resident_peak()
    if what == "training":
        subject.train()
    else:
        scope, memory = what.split()
        subject.solve(scope, float(memory))
    print(resident_peak() - before)


def resident_peak() -> float:
    """MB. A child inherits its parent's `ru_maxrss`; this figure begins anew."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


SECTIONS = {"table": table, "exact": exact, "parts": parts, "width": width, "peak": peak}


def main() -> None:
    """Print a section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--of", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.of is not None:
        own_peak(arguments.of, arguments.images)
        return
    SECTIONS[arguments.section](arguments.images, arguments.rounds)


if __name__ == "__main__":
    main()

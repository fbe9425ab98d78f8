"""What scoring costs, in training passes over the same images, and how exact its eigenvalues are.

    python reports/scoring/cost.py [--rounds 7] [--images 1024]

CPU time on one thread; medians of interleaved rounds, each divided by the median of a training pass
(forward, backward, SGD step, batches of 128) over the same images. Parts are over all images;
a whole scoring learns directions on one half and judges them on the other. Peaks are those of a
process that scores and does nothing else, above its peak after a training pass.
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
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

import easearch as ea
import easearch.data
from easearch.models import build
from easearch.scoring import passes as passes_module
from easearch.scoring.capture import Captured, Capturer
from easearch.scoring.eigen import Ends, Exact, Lanczos
from easearch.scoring.linearised.fields import Engine, Fields, engine
from easearch.scoring.unit import Unit

BATCH = 128
NETS = {
    "quickstart seed": {"layout": [[16, 1, 1], [32, 2, 2], [48, 2, 2]], "stem_channels": 16},
    "quickstart x 2": {"layout": [[32, 1, 1], [64, 2, 2], [96, 2, 2]], "stem_channels": 32},
    "32..256, 32x32": {"channels": 3},
}
Data = list[tuple[Tensor, Tensor]]


class Subject:
    """A network after two passes of training, its data, and its units."""

    def __init__(self, name: str, images: int) -> None:
        torch.manual_seed(0)
        self.data = pictures(images) if "quickstart" in name else noise(images)
        self.model = build("mobilenet_v1", **NETS[name]).to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.train()
        self.train()
        self.graph = ea.trace(self.model, self.data[0][0][:1])
        self.units = [Unit(self.model, self.graph, group) for group in self.graph.growable]
        self.engines = [found for unit in self.units if (found := engine(unit)) is not None]
        assert len(self.engines) == len(self.units)
        values = {edge for unit in self.units for edge in unit.entrances}
        self._capturer = Capturer(self.model, values, {e for u in self.units for e in u.exits})
        self.vectors = [torch.randn_like(unit.theta) for unit in self.units]

    def train(self) -> None:
        """One pass."""
        self.model.train()
        for x, y in self.data:
            self._optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()
            self._optimizer.step()
        self.model.eval()

    def capture(self) -> list[Captured]:
        """All batches."""
        return [self._capturer.capture(x, y, F.cross_entropy) for x, y in self.data]

    def fields(self, captured: list[Captured]) -> list[list[Fields]]:
        """Of every unit, of all batches."""
        return [[fast.fields(one) for one in captured] for fast in self.engines]

    def product(self, fields: list[list[Fields]]) -> list[Tensor]:
        """One product for every unit, over all batches."""
        return [
            times(fast, vectors, own)
            for fast, vectors, own in zip(self.engines, self.vectors, fields, strict=True)
        ]

    def autodiff(self, captured: list[Captured]) -> None:
        """The same by automatic differentiation."""
        for unit, vectors in zip(self.units, self.vectors, strict=True):
            for one in captured:
                unit.product(vectors, one)

    def score(self, memory: float = 768e6) -> None:
        """A whole scoring."""
        ea.score(self.model, self.graph, self.data, ea.Splitting(memory=memory))

    def score_slowly(self) -> None:
        """A whole scoring without the rules."""
        with mock.patch.object(passes_module, "engine", lambda unit: None):
            self.score()


def times(fast: Engine, vectors: Tensor, fields: list[Fields]) -> Tensor:
    """(C, D): a product over all batches."""
    product = fast.product(vectors)
    for one in fields:
        product.add(one.chunks, one.first)
    return product.total()


def pictures(images: int) -> Data:
    """Fashion-MNIST."""
    found = easearch.data.load("fashion-mnist-mini")
    data = easearch.data.Batches(found.train, found.mean, found.std, BATCH, limit=images)
    return [(x.contiguous(memory_format=torch.channels_last), y) for x, y in data]


def noise(images: int) -> Data:
    """Colour noise: for costs alone."""
    return [
        (
            torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last),
            torch.randint(10, (BATCH,)),
        )
        for _ in range(images // BATCH)
    ]


def costs(subject: Subject, rounds: int) -> dict[str, float]:
    """Median CPU seconds of every part."""
    captured = subject.capture()
    fields = subject.fields(captured)
    work: dict[str, Callable[[], Any]] = {
        "training pass": subject.train,
        "capture": subject.capture,
        "fields": lambda: subject.fields(captured),
        "product": lambda: subject.product(fields),
        "product, autodiff": lambda: subject.autodiff(captured),
        "scoring": lambda: subject.score(2e9),
        "scoring, streaming": lambda: subject.score(0),
        "scoring, autodiff": subject.score_slowly,
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, one in work.items():
            if not name.startswith("scoring"):
                one()  # what the part before it held has gone back to the system
            started = time.process_time()
            one()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in taken.items()}


def solve(subject: Subject, fields: list[list[Fields]], how: Callable[..., Any]) -> list[Ends]:
    """Every unit's ends, on all images."""
    found = []
    samples = sum(len(y) for _, y in subject.data)
    for fast, own in zip(subject.engines, fields, strict=True):
        theta = fast.unit.theta
        solver = how(*theta.shape, theta, torch.Generator().manual_seed(0))
        while not solver.done:
            solver.advance(times(fast, solver.vectors(), own) / samples)
        found.append((solver.ends(), len(getattr(solver, "_alpha", solver.vectors()))))
    return found


def errors(subject: Subject) -> str:
    """Of the smallest eigenvalue, over all channels, relative to its own size."""
    fields = subject.fields(subject.capture())
    exact = torch.cat([ends.low for ends, _ in solve(subject, fields, ExactWithCount)])
    told = []
    for tolerance in (0.02, 0.05, 0.1, 0.2):

        def lanczos(*size: Any, tolerance: float = tolerance) -> Lanczos:
            return Lanczos(*size, tolerance=tolerance)

        found = solve(subject, fields, lanczos)
        low = torch.cat([ends.low for ends, _ in found])
        wrong = ((low - exact) / exact.abs().clamp(min=1e-30)).abs()
        median, p95 = wrong.median(), wrong.double().quantile(0.95)
        steps = "/".join(str(number) for _, number in found)
        told.append(f"  tolerance {tolerance}: {median:.2%} median, {p95:.2%} p95, steps {steps}")
    return "\n".join(told)


class ExactWithCount(Exact):
    """Exact; its number of products is the matrix's size."""

    def vectors(self) -> Tensor:
        """The next column's, and none when done."""
        return self._basis[:0] if self.done else super().vectors()


def peak(name: str, images: int, memory: float | None) -> float:
    """MB that a scoring adds to the peak of a process that has trained, in a process of its own."""
    arguments = [sys.executable, __file__, "--images", str(images), "--peak", name]
    done = subprocess.run(
        [*arguments, "--memory", str(memory)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def resident_peak() -> float:
    """MB. A child inherits its parent's `ru_maxrss`; this figure begins anew."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--peak", default=None)
    parser.add_argument("--memory", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak is not None:
        subject = Subject(arguments.peak, arguments.images)
        before = resident_peak()
        subject.score(arguments.memory)
        print(resident_peak() - before)
        return
    for name in NETS:
        subject = Subject(name, arguments.images)
        if name == "quickstart seed":
            print(errors(subject))
        found = costs(subject, arguments.rounds)
        one = found.pop("training pass")
        print(f"{name}: a training pass over {arguments.images} images {one:.3f} s")
        for part, seconds in found.items():
            print(f"  {part}: {seconds / one:.2f}")
        for label, memory in (("cached", 2e9), ("streaming", 0.0)):
            for images in (arguments.images, 2 * arguments.images):
                print(f"  peak {label}, {images} images: {peak(name, images, memory):.0f} MB")


if __name__ == "__main__":
    main()

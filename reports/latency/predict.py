"""How well does the latency table predict whole networks that its calibration has not seen?

Networks of random widths on the device's step between 3/4 and 3 times their own, none of them among
those of the calibration. Beside the prediction: the structure's line left out (a line through the
other families' networks: what a profile uses on a device that cannot be asked), the plain sum of
rows, and a line through MACs fitted on the same calibration networks; the A/A noise of the truth.
Run: `EASEARCH_CACHE=$(mktemp -d) python reports/latency/predict.py` (a minute). `--busy 2`: beside
so many processes that do nothing but count.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from easearch.budget import Latency, find_step, this_host
from easearch.budget.latency.affine import Point, fit
from easearch.budget.latency.calibration import networks, paid, sums
from easearch.budget.latency.models import whole_model
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.meters.macs import Macs
from easearch.graph import Graph
from easearch.tracing import trace

UNSEEN = 20


def block(i: int, o: int, k: int, stride: int, groups: int, act: type[nn.Module]) -> nn.Sequential:
    """Convolution, norm, activation."""
    conv = nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), act())


class Head(nn.Module):
    """Mean over positions, then a linear layer."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.body(x).mean((2, 3)))


class Inverted(nn.Module):
    """Inverted residual of MobileNetV2."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        hidden = 4 * i
        self.wide = block(i, hidden, 1, 1, 1, nn.ReLU6)
        self.deep = block(hidden, hidden, 3, stride, hidden, nn.ReLU6)
        self.thin = block(hidden, o, 1, 1, 1, nn.Identity)
        self.residual = stride == 1 and i == o

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Wide, deep, thin, with a residual where sizes allow."""
        y = self.thin(self.deep(self.wide(x)))
        return x + y if self.residual else y


class Basic(nn.Module):
    """Basic block of ResNet."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.one = block(i, o, 3, stride, 1, nn.ReLU)
        self.two = block(o, o, 3, 1, 1, nn.Identity)
        self.skip = None if i == o else block(i, o, 1, stride, 1, nn.Identity)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two convolutions and the skip."""
        return self.act(self.two(self.one(x)) + (x if self.skip is None else self.skip(x)))


def separable(w: int, act: type[nn.Module], kernel: int = 3) -> nn.Module:
    """MobileNetV1-like."""
    plan = [
        (w, 2 * w, 1),
        (2 * w, 2 * w, 1),
        (2 * w, 4 * w, 2),
        (4 * w, 4 * w, 1),
        (4 * w, 8 * w, 2),
    ]
    layers = [block(3, w, 3, 1, 1, act)]
    for i, o, stride in plan:
        layers += [block(i, i, kernel, stride, i, act), block(i, o, 1, 1, 1, act)]
    return Head(nn.Sequential(*layers), 8 * w)


def inverted(w: int) -> nn.Module:
    """MobileNetV2-like."""
    plan = [(w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2), (4 * w, 4 * w, 1)]
    layers = [Inverted(*row) for row in plan]
    body = [block(3, w, 3, 1, 1, nn.ReLU6), *layers, block(4 * w, 16 * w, 1, 1, 1, nn.ReLU6)]
    return Head(nn.Sequential(*body), 16 * w)


def residual(w: int) -> nn.Module:
    """ResNet-like."""
    plan = [(w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2)]
    layers = [Basic(*row) for row in plan]
    return Head(nn.Sequential(block(3, w, 3, 1, 1, nn.ReLU), *layers), 4 * w)


class Excited(nn.Module):
    """Convolutions with a gate of squeeze and excite between them."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.one, self.two = block(3, w, 3, 2, 1, nn.SiLU), block(w, 2 * w, 3, 2, 1, nn.SiLU)
        self.squeeze, self.excite = nn.Conv2d(2 * w, 16, 1), nn.Conv2d(16, 2 * w, 1)
        self.three = block(2 * w, 4 * w, 3, 2, 1, nn.SiLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two convolutions, the gate, the last."""
        x = self.two(self.one(x))
        gate = self.excite(torch.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return self.three(x * torch.sigmoid(gate))


NETS = {
    "separable ReLU": lambda: separable(16, nn.ReLU),
    "separable SiLU": lambda: separable(16, nn.SiLU),
    "inverted residual": lambda: inverted(16),
    "residual": lambda: residual(16),
    "separable Hardswish": lambda: separable(16, nn.Hardswish, 5),
    "squeeze, excite": lambda: Head(Excited(16), 64),
}


def unseen(graph: Graph, step: int, draw: np.random.Generator) -> list[Graph]:
    """Random widths on the step; none of those that calibration measures."""
    low, high = np.log(0.75), np.log(3.0)
    known = [net.widths for net in networks(graph, step, 3.0)]
    found: list[Graph] = []
    while len(found) < UNSEEN:
        factors = np.exp(draw.uniform(low, high, len(graph.growable)))
        widths = {
            g.name: max(step, step * round(g.width * factor / step))
            for g, factor in zip(graph.growable, factors, strict=True)
        }
        net = graph.with_widths(widths)
        if net.widths not in known:
            found.append(net)
    return found


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares of the relative error."""
    columns = np.stack([1 / y, x / y], axis=1)
    a, b = np.linalg.lstsq(columns, np.ones(len(y)), rcond=None)[0]
    return float(a), float(b)


@contextlib.contextmanager
def company(count: int) -> Iterator[None]:
    """Other work on the same cores."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: 1"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()


def points_of(nets: Sequence[Graph], meter: Latency, ms: np.ndarray) -> list[Point]:
    """What a line sees of networks."""
    found = []
    for net, truth in zip(nets, ms, strict=True):
        rows, ends = sums(net, meter.table)
        found.append(Point(rows=rows, ends=ends, items=len(paid(net)), ms=float(truth)))
    return found


def told(errors: np.ndarray) -> str:
    """Mean, 95 % and worst of relative errors, in per cent."""
    size = 100 * np.abs(errors)
    return f"{size.mean():5.1f} {np.quantile(size, 0.95):5.1f} {size.max():5.1f}"


def main() -> None:
    """A row a network, and one over all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--busy", type=int, default=0, help="processes beside")
    busy = parser.parse_args().busy
    with company(busy):
        report(busy)


def report(busy: int) -> None:
    """Measure and print."""
    step, say = find_step(), sys.stdout.write
    host = this_host()
    beside = f"{busy} busy processes beside" if busy else "quiet"
    say(f"{host.cpu}, {host.runtime}, one thread, step {step}, {beside}; {UNSEEN} unseen each\n")
    say("relative errors in %: mean, p95, max\n")
    names = ("table + calibration", "other families' line", "sum of rows", "line through MACs")
    say(f"{'network':19s} | rows    s |" + "".join(f" {name:>20s} |" for name in names))
    say(" inside interval | noise\n")
    seen: dict[str, list[Point]] = {}
    truths: dict[str, list[Point]] = {}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in names}
    rows_told = []
    for number, (name, build) in enumerate(NETS.items()):
        graph = trace(build().eval(), torch.zeros(1, 3, 32, 32))
        meter, start = Latency(), time.perf_counter()
        calibration = meter.calibration(graph)
        seconds, measured = time.perf_counter() - start, meter.table.measured
        nets = unseen(graph, step, np.random.default_rng(1000 + number))
        predicted = np.array([meter.cost(net).total for net in nets])
        timings = Quiet(meter.device).time([whole_model(net) for net in nets], rounds=8, sessions=6)
        ms = np.array([t.min_us for t in timings]) / 1000
        noise = np.median([max(t.halves_us) / min(t.halves_us) - 1 for t in timings])
        seen[name], truths[name] = list(calibration.points), points_of(nets, meter, ms)
        own = networks(graph, step, 3.0)
        macs = Macs()
        a, b = line(
            np.array([macs.cost(net).total for net in own]),
            np.array([point.ms for point in calibration.points[: len(own)]]),
        )
        by_macs = a + b * np.array([macs.cost(net).total for net in nets])
        inside = np.mean(np.abs(ms / predicted - 1) <= (calibration.interval or 0.0))
        errors[names[0]].append(predicted / ms - 1)
        errors[names[2]].append(np.array([p.rows / p.ms for p in truths[name]]) - 1)
        errors[names[3]].append(by_macs / ms - 1)
        rows_told.append((name, measured, seconds, inside, noise))
    for name in NETS:
        others = [point for other, points in seen.items() if other != name for point in points]
        errors[names[1]].append(np.array(fit(others).errors(truths[name])))
    for i, (name, measured, seconds, inside, noise) in enumerate(rows_told):
        cells = "".join(f" {told(errors[one][i]):>20s} |" for one in names)
        say(f"{name:19s} | {measured:4d} {seconds:4.1f} |{cells}{100 * inside:14.0f} % |")
        say(f"{100 * noise:6.2f}\n")
    cells = "".join(f" {told(np.concatenate(errors[one])):>20s} |" for one in names)
    say(f"{'all':19s} | {'':9s} |{cells}\n")


if __name__ == "__main__":
    main()

"""How well do the latency table and its calibration predict whole networks that they have not seen?

Four small networks, random widths on the device's step between 3/4 and 3 times their own. Beside
it a line through MACs, fitted on the same calibration networks, and the A/A noise floor.
Run: `EASEARCH_CACHE=$(mktemp -d) python reports/latency/predict.py` (about half a minute).
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from torch import nn

from easearch.budget import Latency, find_step, this_host
from easearch.budget.latency.calibration import networks
from easearch.budget.meters.macs import Macs
from easearch.budget.latency.models import whole_model
from easearch.graph import Graph
from easearch.tracing import trace

UNSEEN = 24


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


def separable(w: int, act: type[nn.Module]) -> nn.Module:
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
        layers += [block(i, i, 3, stride, i, act), block(i, o, 1, 1, 1, act)]
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


NETS = {
    "separable ReLU": lambda: separable(16, nn.ReLU),
    "separable SiLU": lambda: separable(16, nn.SiLU),
    "inverted residual": lambda: inverted(16),
    "residual": lambda: residual(16),
}


def unseen(graph: Graph, step: int, draw: np.random.Generator) -> list[Graph]:
    """Random widths on the step."""
    low, high = np.log(0.75), np.log(3.0)
    return [
        graph.with_widths(
            {
                g.name: max(step, step * round(g.width * np.exp(draw.uniform(low, high)) / step))
                for g in graph.growable
            }
        )
        for _ in range(UNSEEN)
    ]


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares of the relative error."""
    columns = np.stack([1 / y, x / y], axis=1)
    a, b = np.linalg.lstsq(columns, np.ones(len(y)), rcond=None)[0]
    return float(a), float(b)


def main() -> None:
    """A row a network."""
    step, say = find_step(), sys.stdout.write
    say(
        f"{this_host().cpu}, {this_host().runtime}, one thread, step {step}; {UNSEEN} unseen each\n"
    )
    say("network            | rows    s | table: mean p95  max | MACs: mean p95  max | noise (%)\n")
    for number, (name, build) in enumerate(NETS.items()):
        graph = trace(build().eval(), torch.zeros(1, 3, 32, 32))
        meter, start = Latency(), time.perf_counter()
        calibration = meter.calibration(graph)
        seconds = time.perf_counter() - start
        rows = meter.table.measured
        nets = unseen(graph, step, np.random.default_rng(1000 + number))
        predicted = np.array([meter.cost(net).total for net in nets])
        timings = meter.device.time([whole_model(net) for net in nets] * 4, rounds=8)
        us = np.array([t.min_us for t in timings]).reshape(2, 2, -1).min(axis=0)
        measured, noise = us.min(axis=0) / 1000, np.abs(us[0] / us[1] - 1)
        macs = Macs()
        seen = np.array([macs.cost(net).total for net in networks(graph, step, 3.0)])
        a, b = line(seen, np.array([point.ms for point in calibration.points[: len(seen)]]))
        rival = a + b * np.array([macs.cost(net).total for net in nets])
        say(f"{name:18s} | {rows:4d} {seconds:4.1f} |")
        for guess in (predicted, rival):
            e = 100 * np.abs(guess / measured - 1)
            say(f"      {e.mean():5.1f} {np.quantile(e, 0.95):4.1f} {e.max():4.1f} |")
        say(f" {100 * np.median(noise):.2f}\n")


if __name__ == "__main__":
    main()

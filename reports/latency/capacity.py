"""How much network do equal milliseconds buy? Widths by measured time against the usual ways.

MobileNetV1 and V2 at 32 and 96 pixels; six limits each, those that uniform multipliers rounded to 8
happen to take. Every other way gets the same limit, as measured on the whole network, and is scaled
(multiplier or budget, by bisection) until it just meets it:

- `unaligned`: uniform multipliers, no rounding. This is also what a knapsack over single channels
  at their marginal MACs gives: no channel is dearer than another of its group.
- `aligned`: uniform multipliers, every width rounded up to the device's step.
- `MACs-optimal`: the integer program on the device's step, priced in MACs.
- `measured`: the integer program on the device's step, priced by the latency table.

The programs maximise the sum of log widths, each weighted by its group's share in the MACs, between
0.75 and 1.34 times the uniform widths, or the next step. Told are MACs and the geometric mean of
widths, relative to uniform widths at the same milliseconds (both interpolated: uniform nets meet no
limit exactly).
Run: `EASEARCH_CACHE=$(mktemp -d) python reports/latency/capacity.py [--caches cold] [--quick]`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from easearch.budget import Device, Latency, find_device, find_step
from easearch.budget.devices.profile import Profile
from easearch.budget.latency.models import whole_model
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.meters.macs import Macs
from easearch.graph import Graph
from easearch.models import build
from easearch.moves import Candidate, NewNeuron
from easearch.roles import Bound, Meter
from easearch.selection import Exact
from easearch.tracing import trace

LOW, HIGH = 0.75, 1.34
MULTIPLIERS = (0.4, 0.55, 0.7, 0.85, 1.0, 1.15)
BISECTIONS = 6
V1 = [[32, 1, 1], [64, 2, 2], [128, 2, 2], [256, 2, 2]]
V2 = [[16, 1, 1], [24, 2, 2], [40, 2, 2], [64, 2, 2]]
NETS = {
    "V1": lambda: build("mobilenet_v1", layout=V1, channels=3, stem_channels=32),
    "V2": lambda: build("mobilenet_v2", layout=V2, channels=3, stem_channels=32),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A network as executed."""

    ms: float
    macs: float
    width: float
    """Geometric mean over groups."""


class Bench:
    """One network structure on one device."""

    def __init__(self, graph: Graph, device: Device) -> None:
        self.graph, self.device, self.quiet = graph, device, Quiet(device)
        self.step = find_step(device)
        self.latency = Latency(device, reach=max(MULTIPLIERS) * HIGH)
        self.seen: dict[tuple[int, ...], Point] = {}

    def at(self, widths: Mapping[str, int]) -> Graph:
        """The network with those widths."""
        return self.graph.with_widths(dict(widths))

    def uniform(self, factor: float, rounded: Callable[[float], int]) -> Graph:
        """Every width times the factor, rounded."""
        names = [group.name for group in self.graph.growable]
        return self.at({n: max(1, rounded(self.graph.group(n).width * factor)) for n in names})

    def measured(self, graph: Graph) -> Point:
        """Executed whole, each network once."""
        key = tuple(graph.widths.values())
        if key not in self.seen:
            rounds, sessions = (30, 2) if self.device.cold else (12, 4)
            (timing,) = self.quiet.time([whole_model(graph)], rounds=rounds, sessions=sessions)
            widths = [graph.group(group.name).width for group in self.graph.growable]
            self.seen[key] = Point(
                ms=timing.min_us / 1000,
                macs=Macs().cost(graph).total,
                width=float(np.exp(np.mean(np.log(widths)))),
            )
        return self.seen[key]

    def shares(self, graph: Graph) -> dict[str, float]:
        """How MACs answer to each width: their elasticities, which sum to about 2."""
        total, found = Macs().cost(graph).total, {}
        for group in self.graph.growable:
            width = graph.group(group.name).width
            wider = Macs().cost(graph.with_widths({group.name: 2 * width})).total
            found[group.name] = np.log2(wider / total)
        return found

    def chosen(self, around: Graph, meter: Meter, limit: float) -> Graph:
        """The best widths within the limit, near those of the network given."""
        start, end = {}, {}
        for group in self.graph.growable:
            width = around.group(group.name).width
            start[group.name] = max(self.step, self._on_step(LOW * width))
            end[group.name] = self.up(HIGH * width)
        graph, shares = self.at(start), self.shares(around)
        candidates = [
            Candidate(move=NewNeuron(group=name), gain=shares[name] * float(np.log(1 + 1 / w)))
            for name in start
            for w in range(start[name], end[name])
        ]
        bound = Bound(meter=meter, limit=limit)
        if meter.cost(graph).total > limit:
            return graph
        plan = Exact(gap=1e-3, seconds=20).select(candidates, graph, [bound], self.step)
        return graph.with_widths(dict(plan.widths))

    def _on_step(self, width: float) -> int:
        return int(width // self.step * self.step)

    def up(self, width: float) -> int:
        """Rounded up to the step."""
        return int(-(-width // self.step) * self.step)


def at_limit(bench: Bench, make: Callable[[float], Graph], limit: float) -> Point:
    """The largest network of a way that, measured, keeps the limit: by bisection of its factor."""
    low, high, best = 0.5, 1.6, None
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        found = bench.measured(make(middle))
        if found.ms <= limit:
            low = middle
            if best is None or found.macs > best.macs:
                best = found
        else:
            high = middle
    return best if best is not None else bench.measured(make(low))


def compared(bench: Bench, multipliers: Sequence[float]) -> dict[str, list[tuple[Point, Point]]]:
    """For every way, (uniform at that limit, the way at that limit) for each limit."""
    base = [bench.measured(bench.uniform(m, round8)) for m in multipliers]
    found: dict[str, list[tuple[Point, Point]]] = {}
    for multiplier, limit in zip(multipliers, base, strict=True):
        around = bench.uniform(multiplier, round8)
        macs, predicted = limit.macs, bench.latency.cost(around).total
        ways: dict[str, Callable[[float], Graph]] = {
            "unaligned": lambda f, m=multiplier: bench.uniform(m * f, round),
            "aligned": lambda f, m=multiplier: bench.uniform(m * f, bench.up),
            "MACs-optimal": lambda f, g=around, c=macs: bench.chosen(g, Macs(), c * f),
            "measured": lambda f, g=around, c=predicted: bench.chosen(g, bench.latency, c * f),
        }
        for name, make in ways.items():
            got = at_limit(bench, make, limit.ms)
            found.setdefault(name, []).append((between(base, got.ms), got))
    return found


def between(base: Sequence[Point], ms: float) -> Point:
    """The uniform network of that time, between those that were measured (log-log)."""
    order = sorted(base, key=lambda point: point.ms)
    x = np.log([point.ms for point in order])
    at = np.log(ms)
    macs, width = (
        float(np.exp(np.interp(at, x, np.log([getattr(point, name) for point in order]))))
        for name in ("macs", "width")
    )
    return Point(ms=ms, macs=macs, width=width)


def round8(width: float) -> int:
    """As papers round."""
    return max(8, 8 * round(width / 8))


def main() -> None:
    """A table a network and size, and one over all of a network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--caches", choices=("warm", "cold"), default="warm")
    parser.add_argument("--quick", action="store_true", help="two limits, 32 pixels")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 96], help="pixels a side")
    told = parser.parse_args()
    host = find_device("host")
    profile = Profile(name=told.caches, caches=told.caches, step=find_step(host))
    device = Device(name=told.caches, host=host.host, stopwatch=host.stopwatch, profile=profile)
    say = sys.stdout.write
    say(f"{host.host.cpu}, {host.host.runtime}, one thread, step {profile.step}, {told.caches}\n")
    say("at equal measured ms, relative to uniform widths rounded to 8:\n")
    say(f"{'network':9s} {'way':13s} | MACs: mean  least  most | width: mean\n")
    for name, make in NETS.items():
        for size in (32,) if told.quick else told.sizes:
            graph = trace(make().eval(), torch.zeros(1, 3, size, size))
            bench = Bench(graph, device)
            found = compared(bench, MULTIPLIERS[1::3] if told.quick else MULTIPLIERS)
            for way, pairs in found.items():
                macs = np.array([got.macs / base.macs for base, got in pairs])
                width = np.array([got.width / base.width for base, got in pairs])
                say(f"{name} {size:2d} px  {way:13s} | {percent(gmean(macs)):>10s} ")
                say(f"{percent(macs.min()):>6s} {percent(macs.max()):>5s} |")
                say(f" {percent(gmean(width)):>11s}\n")
                sys.stdout.flush()


def gmean(values: np.ndarray) -> float:
    """Geometric mean."""
    return float(np.exp(np.log(values).mean()))


def percent(ratio: float) -> str:
    """+7 %."""
    return f"{100 * (ratio - 1):+.1f} %"


if __name__ == "__main__":
    main()

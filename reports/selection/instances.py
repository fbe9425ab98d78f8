"""How good and how fast are the solvers, and does any plan exceed a limit?

1,000 random instances: networks of four families, gains that fall with the channel at random rates,
one to four limits among MACs, parameters, peak memory and a staircase like latency's. Where there
are few choices all of them are tried. Then 60 groups x 32 widths x 4 limits. Times are the
process's own (one thread), pricing and filling included: other work on the machine does not count.
Run: `python reports/selection/instances.py` (about ten minutes; `--quick` one).
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import date
from functools import cache

from networks import FAMILIES, graph_of, large

from easearch.budget import LayerMeter, find_meter
from easearch.graph import Graph, Shape
from easearch.moves import Candidate, NewNeuron, Plan
from easearch.roles import Bound, Item, Meter, Selector
from easearch.selection import Duals, Exact, Greedy, Published
from easearch.selection.options import options

STEP = 4
LIMITS = ("macs", "params", "memory", "stairs")
SOLVERS: dict[str, Selector] = {
    "exact": Exact(),
    "duals": Duals(),
    "greedy": Greedy(),
    "published": Published(),
    "as released": Published(faithful=True),
}
FEW = 600
"""Choices that are all tried."""


class Stairs(LayerMeter):
    """Like latency: an overhead, a price a layer, and the same work for sixteen widths."""

    name, unit = "stairs", "ms"

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One, with every layer."""
        return (tuple((layer.name,) for layer in graph.layers),)

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """Blocks of sixteen by sixteen channels, less than proportional to the positions."""
        return [2e-3 * len(item) + sum(map(self._work, item)) for item in items]

    def overhead(self, graph: Graph) -> float:
        """A tenth of a millisecond."""
        return 0.1

    @staticmethod
    def _work(shape: Shape) -> float:
        blocks = math.ceil(shape.in_channels / 16) * math.ceil(shape.out_channels / 16)
        return float(1e-6 * blocks * shape.positions**0.8)


def meter(name: str) -> Meter:
    """The meter of that name."""
    return Stairs() if name == "stairs" else find_meter(name)


def gains(graph: Graph, draw: random.Random, rungs: Sequence[int]) -> list[Candidate]:
    """New neurons for every group, worth less and less, at a rate of the group's own."""
    found = []
    for group, count in zip(graph.growable, rungs, strict=True):
        worth, rate = 10 ** draw.uniform(-4, -2), draw.uniform(0.3, 1.5)
        for k in range(count * STEP):
            gain = worth * (k + 1) ** -rate * draw.uniform(0.7, 1.3)
            found.append(Candidate(move=NewNeuron(group=group.name), gain=gain))
    return found


def bounds(
    graph: Graph, candidates: Sequence[Candidate], draw: random.Random, names: Sequence[str]
) -> list[Bound]:
    """Limits between the network's cost and that of all growth, near to each other in share."""
    full, share, found = graph.after([c.move for c in candidates]), draw.uniform(0.1, 0.7), []
    for name in names:
        small, most = meter(name).cost(graph).total, meter(name).cost(full).total
        room = min(share * draw.uniform(0.7, 1.4), 1.0) * (most - small)
        found.append(Bound(meter=meter(name), limit=small + room))
    return found


def exceeded(plan: Plan, graph: Graph, limits: Sequence[Bound]) -> bool:
    """Whether the grown network, priced anew, is above a limit."""
    after = graph.after(plan.moves)
    return any(b.meter.cost(after).total > b.limit * (1 + 1e-12) for b in limits)


def by_force(
    graph: Graph, candidates: Sequence[Candidate], limits: Sequence[Bound]
) -> float | None:
    """The best gain of all choices, each priced as a whole network; None where they are many."""
    ladders = options(candidates, graph, STEP)
    if math.prod(map(len, ladders.values())) > FEW:
        return None
    best = 0.0
    for chosen in itertools.product(*ladders.values()):
        gain = sum(option.gain for option in chosen)
        widths = {name: o.width for name, o in zip(ladders, chosen, strict=True)}
        wider = graph.with_widths(widths)
        if gain > best and all(b.meter.cost(wider).total <= b.limit for b in limits):
            best = gain
    return best


@cache
def network(family: str, seed: int, deepest: int) -> Graph:
    """Traced once."""
    return graph_of(family, seed, deepest)


class Tally:
    """What the instances showed."""

    def __init__(self) -> None:
        self.plans: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in SOLVERS}
        """Solver -> (below exact, seconds, limit exceeded) an instance."""
        self.stated: list[float] = []
        self.duals_stated: list[float] = []
        self.forced, self.unequal = 0, 0

    def add(self, seed: int) -> None:
        """Solve one instance with every solver."""
        draw = random.Random(seed)
        small = seed % 4 == 0  # few choices, for trying all
        graph = network(draw.choice(FAMILIES), draw.randrange(12), 2 if small else 6)
        rungs = [draw.randint(0, 2) if small else draw.randint(1, 12) for _ in graph.growable]
        candidates = gains(graph, draw, rungs)
        limits = bounds(graph, candidates, draw, draw.sample(LIMITS, k=draw.randint(1, 4)))
        plans, seconds = {}, {}
        for name, solver in SOLVERS.items():
            began = time.process_time()
            plans[name] = solver.select(candidates, graph, limits, STEP)
            seconds[name] = time.process_time() - began
        best = plans["exact"].gain
        for name, plan in plans.items():
            below = 1 - plan.gain / best if best else 0.0
            over = exceeded(plan, graph, limits)
            self.plans[name].append((below, seconds[name], over))
        self.stated.append(plans["exact"].gap)
        self.duals_stated.append(plans["duals"].gap)
        forced = by_force(graph, candidates, limits)
        if forced is not None:
            self.forced += 1
            proven = Exact(gap=0.0).select(candidates, graph, limits, STEP).gain
            self.unequal += abs(proven - forced) > 1e-9 * forced

    def told(self) -> str:
        """A table, a row a solver."""
        count = len(self.stated)
        lines = [
            f"{count} instances; all choices tried on {self.forced} of them: exact differs in "
            f"{self.unequal}",
            "",
            "| solver | limit exceeded | below exact, %: median / p95 / max | "
            "CPU ms: median / p95 / max |",
            "|---|---|---|---|",
        ]
        for name, rows in self.plans.items():
            below, seconds, over = zip(*rows, strict=True)
            kept = [b for b, o in zip(below, over, strict=True) if not o]
            lines.append(
                f"| {name} | {sum(over)} | {spread([100 * b for b in kept], 3)} "
                f"| {spread([1000 * s for s in seconds], 0)} |"
            )
        lines += [
            "",
            "Gap stated, %, median / p95 / max: exact "
            f"{spread([100 * g for g in self.stated], 3)}; duals "
            f"{spread([100 * g for g in self.duals_stated], 3)}.",
        ]
        return "\n".join(lines)


def spread(values: Sequence[float], digits: int) -> str:
    """Median, 95th percentile, largest."""
    ordered = sorted(values)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    found = (statistics.median(ordered), p95, ordered[-1])
    return " / ".join(f"{max(value, 0.0):.{digits}f}" for value in found)


def sixty(family: str, seeds: int) -> str:
    """60 groups x 32 widths x 4 limits: a row a solver."""
    graph = large(family)
    count = len(graph.growable)
    solvers: dict[str, Selector] = {
        "exact, gap 1e-3": Exact(gap=1e-3),
        "exact, gap 1e-4": Exact(),
        "duals": Duals(),
        "greedy": Greedy(),
        "published": Published(),
    }
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in solvers}
    for seed in range(seeds):
        draw = random.Random(seed)
        candidates = gains(graph, draw, [31] * count)
        limits = bounds(graph, candidates, draw, LIMITS)
        plans = {}
        for name, solver in solvers.items():
            began = time.process_time()
            plans[name] = solver.select(candidates, graph, limits, STEP)
            seconds = time.process_time() - began
            assert not exceeded(plans[name], graph, limits)
            below = 1 - plans[name].gain / plans["exact, gap 1e-3"].gain
            rows[name].append((seconds, 100 * below, 100 * plans[name].gap))
    lines = [
        f"{family}: {count} groups x 32 widths x 4 limits, {seeds} seeds",
        "",
        "| solver | CPU s: median / p95 / max | below exact at 1e-3, % | gap stated, % |",
        "|---|---|---|---|",
    ]
    for name, found in rows.items():
        told = [spread(column, 2) for column in zip(*found, strict=True)]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables of the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of all")
    parser.add_argument("--only", choices=("random", "sixty"), help="one of the two parts")
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{date.today()}, AMD EPYC, AVX-512, 2 shared cores, commit {commit}\n")
    if arguments.only != "sixty":
        tally = Tally()
        for seed in range(100 if arguments.quick else 1000):
            tally.add(seed)
        print(tally.told() + "\n")
    if arguments.only != "random":
        for family in ("resnet", "mobilenet_v1"):
            print(sixty(family, 1 if arguments.quick else 10) + "\n")


if __name__ == "__main__":
    main()

"""Graphs, candidates and limits over which selectors are checked."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
from families import FAMILIES, inputs
from networks import NETWORKS, sample

import easearch as ea
from easearch.budget import find_meter
from easearch.graph import Graph
from easearch.moves import Candidate, NewNeuron, Split
from easearch.roles import Bound
from easearch.selection.charges import pricing
from easearch.selection.options import options
from easearch.selection.program import Program

METERS = ("macs", "params", "memory")


def graph_of(name: str = "tied") -> Graph:
    return ea.trace(NETWORKS[name]().double(), sample())


def family_graph(name: str) -> Graph:
    return ea.trace(FAMILIES[name].build().double(), inputs(FAMILIES[name], 1))


def splits(graph: Graph, group: str, *gains: float) -> list[Candidate]:
    return [
        Candidate(move=Split(group=group, channel=channel), gain=gain)
        for channel, gain in enumerate(gains)
    ]


def dealt(graph: Graph, seed: int, groups: int = 4, rungs: int = 3) -> list[Candidate]:
    """New neurons with random gains for some of the groups, up to so many steps of four."""
    draw = random.Random(seed)
    chosen = draw.sample(list(graph.growable), k=min(groups, len(graph.growable)))
    return [
        Candidate(move=NewNeuron(group=group.name), gain=draw.choice([1.0, 0.1]) * draw.random())
        for group in chosen
        for _ in range(4 * draw.randint(1, rungs))
    ]


def bounds_of(graph: Graph, room: float, meters: tuple[str, ...] = METERS) -> list[Bound]:
    """Limits as multiples of what the network costs now."""
    found = [find_meter(name) for name in meters]
    return [Bound(meter=meter, limit=room * meter.cost(graph).total) for meter in found]


def program_of(graph: Graph, seed: int, room: float = 1.5, groups: int = 4) -> Program:
    """The program of random gains under limits on all meters."""
    choices = options(dealt(graph, seed, groups), graph, 4)
    return Program(
        choices,
        pricing(graph, choices, bounds_of(graph, room)),
        {name: np.array([o.gain for o in ladder]) for name, ladder in choices.items()},
        {name: np.arange(len(ladder)) for name, ladder in choices.items()},
    )


def points(program: Program) -> Iterator[np.ndarray]:
    """Every choice there is."""
    sizes = program.sizes[: len(program.names)]
    for picked in itertools.product(*(range(size) for size in sizes)):
        yield np.array(picked, dtype=np.int64)


def best_by_force(program: Program) -> float:
    """What the best choice within the limits is worth."""
    kept = (x for x in points(program) if program.kept(program.used(x)))
    return max(program.value(x) for x in kept)

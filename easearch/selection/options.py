"""The widths that each group may take, what each would gain, and what every layer costs at them.

A layer is priced at every combination of its groups' widths, all shapes of a meter in one request:
a meter that has to measure can then measure them side by side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from easearch.graph import Graph, Shape
from easearch.moves import Candidate, Move
from easearch.roles import Bound, Item

Array = npt.NDArray[np.float64]
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Option:
    """A group at one width: the moves that bring it there and the sum of their gains."""

    width: int
    gain: float
    moves: tuple[Move, ...]


Options = Mapping[str, tuple[Option, ...]]
"""For every growable group its options, the present width first."""


def options(
    candidates: Sequence[Candidate], graph: Graph, step: int
) -> dict[str, tuple[Option, ...]]:
    """Widths on multiples of `step` that the group's best candidates reach; the present width
    always.
    """
    by_group: dict[str, list[Candidate]] = {group.name: [] for group in graph.growable}
    for candidate in sorted(candidates, key=lambda c: -c.gain):
        if candidate.gain > 0 and candidate.move.group in by_group:
            by_group[candidate.move.group].append(candidate)
    return {
        name: tuple(_ladder(graph.groups[name].width, found, step))
        for name, found in by_group.items()
    }


def _ladder(width: int, best: Sequence[Candidate], step: int) -> Iterable[Option]:
    yield Option(width=width, gain=0.0, moves=())
    taken: list[Candidate] = []
    reached = width
    for candidate in best:
        taken.append(candidate)
        reached += candidate.move.added
        if reached % step == 0:
            yield Option(
                width=reached,
                gain=sum(c.gain for c in taken),
                moves=tuple(c.move for c in taken),
            )


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One item's cost, a table over the options of the (few) growable groups that it depends on."""

    groups: tuple[str, ...]
    table: Array


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """One bound as the selector sees it: every moment's charges, and what is left of the limit for
    them.
    """

    bound: Bound
    overhead: float
    moments: tuple[tuple[Charge, ...], ...]

    def total(self, choice: Mapping[str, int]) -> float:
        """The network's cost with option number `choice[group]` for each group."""
        sums = [
            sum(float(c.table[tuple(choice[g] for g in c.groups)]) for c in moment)
            for moment in self.moments
        ]
        return self.overhead + max(sums, default=0.0)

    def kept(self, choice: Mapping[str, int]) -> bool:
        """Whether the limit holds, but for the rounding of a sum taken in another order."""
        return self.total(choice) <= self.bound.limit * (1 + ROUNDING)


def pricing(graph: Graph, choices: Options, bound: Bound) -> Pricing:
    """Price every item of the bound's meter at every combination of its groups' options."""
    meter = bound.meter
    moments = [tuple(moment) for moment in meter.moments(graph)]
    items = list(dict.fromkeys(item for moment in moments for item in moment))
    groups = {item: _groups(graph, item, choices) for item in items}
    shapes = {item: list(_shapes(graph, item, groups[item], choices)) for item in items}
    unique = list(dict.fromkeys(shape for rows in shapes.values() for shape in rows))
    price = dict(zip(unique, meter.charges(unique), strict=True))
    charges = {
        item: Charge(
            groups=groups[item],
            table=np.array([price[shape] for shape in shapes[item]]).reshape(
                [len(choices[name]) for name in groups[item]]
            ),
        )
        for item in items
    }
    return Pricing(
        bound=bound,
        overhead=meter.overhead(graph),
        moments=tuple(tuple(charges[item] for item in moment) for moment in moments),
    )


def _groups(graph: Graph, item: Item, choices: Options) -> tuple[str, ...]:
    """The groups with a choice that the item's cost depends on."""
    names = (name for layer in item for name in graph.by_name[layer].groups)
    return tuple(dict.fromkeys(name for name in names if len(choices.get(name, ())) > 1))


def _shapes(
    graph: Graph, item: Item, groups: Sequence[str], choices: Options
) -> Iterable[tuple[Shape, ...]]:
    for picked in itertools.product(*(choices[name] for name in groups)):
        widths = {name: option.width for name, option in zip(groups, picked, strict=True)}
        yield tuple(graph.shape(layer, widths) for layer in item)

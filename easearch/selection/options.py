"""The widths that each group may take, what each would gain, and what every layer costs at them.

A layer is priced at every combination of its groups' widths, all shapes of a meter in one request:
a meter that has to measure can then measure them side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from easearch.graph import Graph, Shape
from easearch.moves import Candidate, Move
from easearch.roles import Bound, Item

Array = npt.NDArray[np.float64]
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Option:
    """A group at one width: the moves that bring it there and the sum of their gains.

    `value` is what a solver adds up: the gain, or what a channel is worth when room is filled.
    """

    width: int
    gain: float
    value: float
    moves: tuple[Move, ...]


Options = Mapping[str, tuple[Option, ...]]
"""For every growable group its options, the present width first."""


def options(
    candidates: Sequence[Candidate], graph: Graph, step: int
) -> dict[str, tuple[Option, ...]]:
    """Widths on multiples of `step` that the group's best candidates reach; the present width
    always.
    """
    ladders: dict[str, tuple[Option, ...]] = {}
    for name, found in _by_group(candidates, graph).items():
        here = Option(width=graph.groups[name].width, gain=0.0, value=0.0, moves=())
        promising = [candidate for candidate in found if candidate.gain >= 0]
        ladders[name] = tuple(_ladder(here, promising, step))
    return ladders


def filling(
    candidates: Sequence[Candidate], graph: Graph, chosen: Mapping[str, Option], step: int
) -> dict[str, tuple[Option, ...]]:
    """Where each group could still go from the option chosen, also without gain: for room left.

    First-order gains say little about channels that come late, and room that stays empty is worth
    nothing. Widths count by their logarithm, so that room goes to all groups alike.
    """
    ladders: dict[str, tuple[Option, ...]] = {}
    for name, found in _by_group(candidates, graph).items():
        here = replace(chosen[name], value=0.0)
        taken = {id(move) for move in here.moves}
        rest = [c for c in found if c.gain >= 0 and id(c.move) not in taken]
        ladders[name] = tuple(
            replace(option, value=math.log(option.width / here.width))
            for option in _ladder(here, rest, step)
        )
    return ladders


def _by_group(candidates: Sequence[Candidate], graph: Graph) -> dict[str, list[Candidate]]:
    """Candidates of every group that can grow, best first."""
    found: dict[str, list[Candidate]] = {group.name: [] for group in graph.growable}
    for candidate in sorted(candidates, key=lambda c: -c.gain):
        if candidate.move.group in found:
            found[candidate.move.group].append(candidate)
    return found


def _ladder(here: Option, best: Sequence[Candidate], step: int) -> Iterable[Option]:
    yield here
    taken: list[Candidate] = []
    width = here.width
    for candidate in best:
        taken.append(candidate)
        width += candidate.move.added
        if width % step == 0:
            gain = here.gain + sum(c.gain for c in taken)
            moves = (*here.moves, *(c.move for c in taken))
            yield Option(width=width, gain=gain, value=gain, moves=moves)


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
    settled = {name: ladder[0].width for name, ladder in choices.items()}
    for picked in itertools.product(*(choices[name] for name in groups)):
        chosen = {name: option.width for name, option in zip(groups, picked, strict=True)}
        widths = {**settled, **chosen}
        yield tuple(graph.shape(layer, widths) for layer in item)

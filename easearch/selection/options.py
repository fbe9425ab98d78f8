"""The widths that each group may take, what each would gain, and what every layer costs at them.

A width is in units of its group; it is the columns of its writers that a device likes in steps. A
layer is priced at every shape that its groups' widths can give it, all shapes of a meter in one
request: a meter that has to measure can then measure them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from easearch.errors import BudgetError
from easearch.graph import Graph, Layout, Shape
from easearch.moves import Candidate, Move, NewNeuron, Split
from easearch.roles import Bound, Item

ROUNDING = 1e-12
Columns = tuple[int, ...]
"""Columns in and out of every layer of an item."""


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
    """Widths at which writers' columns are multiples of `step`, as far as the group's best
    candidates reach; the present width always.

    Raises:
        BudgetError: a candidate is no widening of a group.
    """
    ladders: dict[str, tuple[Option, ...]] = {}
    for name, found in _by_group(candidates, graph).items():
        here = Option(width=graph.groups[name].width, gain=0.0, value=0.0, moves=())
        promising = [candidate for candidate in found if candidate.gain >= 0]
        ladders[name] = tuple(_ladder(here, promising, stride(graph, name, step)))
    return ladders


def stride(graph: Graph, group: str, step: int) -> int:
    """The step of a group's width at which the columns of its writers are multiples of `step`.

    A unit of a grouped convolution is several columns; where writers differ, the fewest count.
    """
    segments = (s for name in graph.groups[group].writers for s in graph.by_name[name].writes)
    taps = min((s.taps for s in segments if s.group == group), default=1)
    return step // math.gcd(step, taps)


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
            for option in _ladder(here, rest, stride(graph, name, step))
        )
    return ladders


def _by_group(candidates: Sequence[Candidate], graph: Graph) -> dict[str, list[Candidate]]:
    """Candidates of every group that can grow, best first."""
    found: dict[str, list[Candidate]] = {group.name: [] for group in graph.growable}
    for candidate in sorted(candidates, key=lambda c: -c.gain):
        if not isinstance(candidate.move, Split | NewNeuron):
            raise BudgetError(
                "expected candidates that widen a group (Split, NewNeuron), got "
                f"{type(candidate.move).__name__}; selectors buy width alone: apply it by itself"
            )
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
    """One item's cost at every choice of the growable groups that it depends on.

    However many they are (a concatenation's), it depends on sums of their columns only.
    """

    groups: tuple[str, ...]
    base: Columns
    """The item's columns with every group at its first option."""
    added: tuple[tuple[Columns, ...], ...]
    """For every group and option, the columns more than at the first."""
    prices: Mapping[Columns, float]

    def columns(self, picked: Iterable[int]) -> Columns:
        """The item's columns with option number `picked` of every group."""
        more = (options[k] for options, k in zip(self.added, picked, strict=True))
        return tuple(map(sum, zip(self.base, *more, strict=True)))

    def at(self, choice: Mapping[str, int]) -> float:
        """The item's cost with option number `choice[group]` for each group."""
        return self.prices[self.columns(choice[name] for name in self.groups)]


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
        sums = [sum(charge.at(choice) for charge in moment) for moment in self.moments]
        return self.overhead + max(sums, default=0.0)

    def kept(self, choice: Mapping[str, int]) -> bool:
        """Whether the limit holds, but for the rounding of a sum taken in another order."""
        return self.total(choice) <= self.bound.limit * (1 + ROUNDING)


def pricing(graph: Graph, choices: Options, bound: Bound) -> Pricing:
    """Price every item of the bound's meter at all columns that its groups' options can give it."""
    meter = bound.meter
    moments = [tuple(moment) for moment in meter.moments(graph)]
    items = list(dict.fromkeys(item for moment in moments for item in moment))
    blank = {item: _blank(graph, item, choices) for item in items}
    shapes = {
        item: {columns: _shapes(graph, item, columns) for columns in _reached(charge)}
        for item, charge in blank.items()
    }
    unique = list(dict.fromkeys(shape for found in shapes.values() for shape in found.values()))
    price = dict(zip(unique, meter.charges(unique), strict=True))
    charges = {
        item: replace(
            charge, prices={columns: price[shape] for columns, shape in shapes[item].items()}
        )
        for item, charge in blank.items()
    }
    return Pricing(
        bound=bound,
        overhead=meter.overhead(graph),
        moments=tuple(tuple(charges[item] for item in moment) for moment in moments),
    )


def _blank(graph: Graph, item: Item, choices: Options) -> Charge:
    """The item's charge without its prices."""
    layouts = [layout for name in item for layout in _layouts(graph, name)]
    named = (name for layer in item for name in graph.by_name[layer].groups)
    groups = tuple(dict.fromkeys(name for name in named if len(choices.get(name, ())) > 1))
    settled = {name: ladder[0].width for name, ladder in choices.items()}
    return Charge(
        groups=groups,
        base=tuple(graph.channels(layout, settled) for layout in layouts),
        added=tuple(
            tuple(
                tuple((o.width - settled[name]) * _taps(layout, name) for layout in layouts)
                for o in choices[name]
            )
            for name in groups
        ),
        prices={},
    )


def _layouts(graph: Graph, layer: str) -> tuple[Layout, Layout]:
    return graph.by_name[layer].reads, graph.by_name[layer].writes


def _taps(layout: Layout, group: str) -> int:
    return sum(segment.taps for segment in layout if segment.group == group)


def _reached(charge: Charge) -> list[Columns]:
    """All columns that options can give an item, each once: sums of few, not all combinations."""
    found = {charge.base: None}
    for options in charge.added:
        sums = (tuple(map(sum, zip(a, b, strict=True))) for a in found for b in options)
        found = dict.fromkeys(sums)
    return list(found)


def _shapes(graph: Graph, item: Item, columns: Columns) -> tuple[Shape, ...]:
    pairs = zip(item, columns[::2], columns[1::2], strict=True)
    return tuple(
        replace(graph.shape(layer), in_channels=ins, out_channels=outs)
        for layer, ins, outs in pairs
    )

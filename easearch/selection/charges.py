"""What every layer costs at the widths that its groups may take.

A layer is priced at every shape that its groups' options can give it, all shapes of a meter in one
request: a meter that has to measure can then measure them side by side. Layers that are alike, as
in repeated blocks, are asked about once. Legend of arrays: `K` options of a group, `Q` sums of
columns that differ from each other, `P` places (columns in and out of every layer of an item), `U`
sums reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from easearch.graph import Graph, Layout, Shape
from easearch.roles import Bound, Item
from easearch.selection.options import Options

ROUNDING = 1e-12
Key = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of the kinds of an item's layers, and their columns: what its shapes differ in."""
Family = tuple[tuple[int, ...], bytes]
"""The same of all that options can make of an item."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reach:
    """All that options can make of one item: the sums of columns on which its cost depends.

    However many groups there are (a concatenation's), the cost depends on sums of columns only;
    places with equal sums are kept once.
    """

    groups: tuple[str, ...]
    added: tuple[np.ndarray, ...]
    """For every group K x Q, the columns more than at the first option."""
    base: np.ndarray
    """P columns with every group at its first option."""
    sums: np.ndarray
    """U x Q, each once, in the order of their codes."""
    place: np.ndarray
    """P numbers of a sum; -1 where nothing changes."""

    @cached_property
    def radix(self) -> np.ndarray:
        """Weights that make one number of a row of sums."""
        sizes = self.sums.max(axis=0, initial=0) + 1
        return np.concatenate([[1], np.cumprod(sizes[:-1])])[: len(sizes)].astype(np.int64)

    @cached_property
    def codes(self) -> np.ndarray:
        """The number of every row of sums, rising."""
        return np.asarray(self.sums @ self.radix)

    def numbers(self, sums: np.ndarray) -> np.ndarray:
        """Which row of `self.sums` each of these is (... x Q)."""
        return np.asarray(np.searchsorted(self.codes, sums @ self.radix))

    def columns(self) -> np.ndarray:
        """U x P: all columns that the item may have."""
        padded = np.concatenate([self.sums, np.zeros((len(self.sums), 1), np.int64)], axis=1)
        return np.asarray(self.base + padded[:, self.place])


@dataclass(frozen=True, kw_only=True, eq=False)
class Charge:
    """One item's cost at every choice of the growable groups that it depends on."""

    reach: Reach
    prices: np.ndarray
    """U prices, one a row of sums."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups with a choice that the cost depends on."""
        return self.reach.groups

    def at(self, choice: Mapping[str, int]) -> float:
        """The item's cost with option number `choice[group]` for each group."""
        reach = self.reach
        sums = np.zeros(reach.sums.shape[1], np.int64)
        for name, added in zip(reach.groups, reach.added, strict=True):
            sums = sums + added[choice[name]]
        return float(self.prices[reach.numbers(sums)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Pricing:
    """One bound as the selector sees it: every moment's charges, and what is paid anyway."""

    bound: Bound
    overhead: float
    moments: tuple[tuple[Charge, ...], ...]

    def total(self, choice: Mapping[str, int]) -> float:
        """The network's cost with option number `choice[group]` for each group."""
        items = {id(charge): charge for moment in self.moments for charge in moment}
        cost = {key: charge.at(choice) for key, charge in items.items()}
        sums = [sum(cost[id(charge)] for charge in moment) for moment in self.moments]
        return self.overhead + max(sums, default=0.0)

    def kept(self, choice: Mapping[str, int]) -> bool:
        """Whether the limit holds, but for the rounding of a sum taken in another order."""
        return self.total(choice) <= self.bound.limit * (1 + ROUNDING)


def pricing(graph: Graph, choices: Options, bounds: Sequence[Bound]) -> list[Pricing]:
    """Price every item of the bounds' meters at all columns that its groups' options can give."""
    stock = _Stock(graph, choices)
    return [stock.pricing(bound) for bound in bounds]


class _Stock:
    """What meters have in common: which columns an item may have, and the shapes with them."""

    def __init__(self, graph: Graph, choices: Options) -> None:
        self.graph, self.choices = graph, choices
        self.widths = {
            name: np.array([o.width for o in ladder]) for name, ladder in choices.items()
        }
        self.reached: dict[Item, Reach] = {}
        self.kinds: dict[str, int] = {}
        """Layer -> a number that layers alike have in common."""
        self.like: dict[Shape, int] = {}
        self.shapes: dict[Key, tuple[Shape, ...]] = {}
        self.family: dict[Item, Family] = {}
        self.families: dict[Family, list[Key]] = {}
        """A key of `shapes` for every row of the sums of the family's items."""

    def pricing(self, bound: Bound) -> Pricing:
        """The bound's meter asked once, for all shapes there are."""
        meter = bound.meter
        moments = [tuple(moment) for moment in meter.moments(self.graph)]
        items = list(dict.fromkeys(item for moment in moments for item in moment))
        asked = dict.fromkeys(self._family(item) for item in items)
        shapes = {key: self.shapes[key] for family in asked for key in self.families[family]}
        # What has no price, because a device's table ends, is beyond any limit.
        charged = (
            2 * bound.limit if math.isinf(price) else price
            for price in meter.charges(self.graph, list(shapes.values()))
        )
        told = dict(zip(shapes, charged, strict=True))
        prices = {
            family: np.array([told[key] for key in self.families[family]]) for family in asked
        }
        charges = {
            item: Charge(reach=self._reach(item), prices=prices[self._family(item)])
            for item in items
        }
        return Pricing(
            bound=bound,
            overhead=meter.overhead(self.graph),
            moments=tuple(tuple(charges[item] for item in moment) for moment in moments),
        )

    def _family(self, item: Item) -> Family:
        """What the item has in common with those that have the same prices."""
        if item not in self.family:
            kinds = tuple(self._kind(layer) for layer in item)
            columns = self._reach(item).columns()
            family = self.family[item] = (kinds, columns.tobytes())
            if family not in self.families:
                keys = [(kinds, tuple(row)) for row in columns.tolist()]
                self.families[family] = keys
                here = [self.graph.shape(layer) for layer in item]
                for key in keys:
                    if key not in self.shapes:
                        self.shapes[key] = _shaped(here, key[1])
        return self.family[item]

    def _kind(self, layer: str) -> int:
        if layer not in self.kinds:
            bare = replace(self.graph.shape(layer), in_channels=0, out_channels=0)
            self.kinds[layer] = self.like.setdefault(bare, len(self.like))
        return self.kinds[layer]

    def _reach(self, item: Item) -> Reach:
        if item not in self.reached:
            self.reached[item] = self._reached(item)
        return self.reached[item]

    def _reached(self, item: Item) -> Reach:
        layouts = [layout for name in item for layout in _layouts(self.graph, name)]
        named = (name for layer in item for name in self.graph.by_name[layer].groups)
        groups = tuple(dict.fromkeys(n for n in named if len(self.choices.get(n, ())) > 1))
        taps = np.array([[_taps(layout, name) for layout in layouts] for name in groups])
        kinds = list(dict.fromkeys(tuple(column) for column in taps.T.tolist() if any(column)))
        place = [kinds.index(tuple(c)) if any(c) else -1 for c in taps.T.tolist()]
        more = [self.widths[name] - self.widths[name][0] for name in groups]
        columns = np.array(kinds, dtype=np.int64).reshape(len(kinds), len(groups))
        added = tuple(np.outer(m, columns[:, g]) for g, m in enumerate(more))
        present = {name: ladder[0].width for name, ladder in self.choices.items()}
        return Reach(
            groups=groups,
            added=added,
            base=np.array([self.graph.channels(layout, present) for layout in layouts]),
            sums=_all_sums(added, len(kinds)),
            place=np.array(place if groups else [-1] * len(layouts), dtype=np.int64),
        )


def _shaped(here: Sequence[Shape], columns: Sequence[int]) -> tuple[Shape, ...]:
    pairs = zip(here, columns[::2], columns[1::2], strict=True)
    return tuple(replace(shape, in_channels=ins, out_channels=outs) for shape, ins, outs in pairs)


def _layouts(graph: Graph, layer: str) -> tuple[Layout, Layout]:
    return graph.by_name[layer].reads, graph.by_name[layer].writes


def _taps(layout: Layout, group: str) -> int:
    return sum(segment.taps for segment in layout if segment.group == group)


# --- formulas


def _all_sums(added: Sequence[np.ndarray], kinds: int) -> np.ndarray:
    """U x Q: every sum of a row of each, once: sums of few, not all combinations."""
    found = np.zeros((1, kinds), dtype=np.int64)
    for more in added:
        found = distinct((found[:, None] + more[None]).reshape(-1, kinds))[0]
    return found


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of whole numbers from 0, in the order of their codes, and for every row the
    number of its like.
    """
    sizes = rows.max(axis=0, initial=0) + 1
    radix = np.concatenate([[1], np.cumprod(sizes[:-1])])[: len(sizes)].astype(np.int64)
    _, first, like = np.unique(rows @ radix, return_index=True, return_inverse=True)
    return rows[first], like.reshape(-1)

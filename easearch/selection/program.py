"""The program as arrays: maximise the sum of values over options, every row of costs kept.

Variables are the groups (value: number of an allowed option) and, where a layer's cost depends on
sums over more than two groups, the sums so far: each follows from the one before it and one group
(a *link*), so that every cost is a table over at most two variables. Tables lie behind each other
in one flat axis of `E` entries; `R` rows are the limits, one a meter's moment, each in shares of
its limit. Rows that no choice can break are left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from easearch.selection.charges import Charge, Pricing, distinct
from easearch.selection.options import Options

SLACK = 1e-13
"""Shares of a limit by which a row may be above it: the rounding of sums in another order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """A sum so far: `target` is `following[left, right]`."""

    left: int
    right: int
    target: int
    following: np.ndarray


@dataclass(eq=False)
class Program:
    """One choice of widths to be made.

    Args:
        choices: every group's options.
        prices: every bound.
        worth: for every group the value of each option.
        allowed: for every group the numbers of the options that may be taken, one or more.
    """

    choices: Options
    prices: Sequence[Pricing]
    worth: Mapping[str, np.ndarray]
    allowed: Mapping[str, np.ndarray]
    sizes: list[int] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    scopes: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = [name for name in self.choices if len(self.allowed[name]) > 1]
        self.index = {name: i for i, name in enumerate(self.names)}
        self.sizes += [len(self.allowed[name]) for name in self.names]
        self.settled = sum(
            float(self.worth[name][k[0]]) for name, k in self.allowed.items() if len(k) == 1
        )
        self._sums: dict[Hashable, tuple[int, np.ndarray]] = {}
        self._tables: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
        self._cells: dict[int, tuple[tuple[int, ...], np.ndarray]] = {}
        for i in range(len(self.names)):
            self._tables[(i,)] = {}
        paid, self.meters = self._priced()
        self._flatten(np.array(paid))

    # --- building

    def _priced(self) -> tuple[list[float], list[int]]:
        """What is paid whatever is chosen, row by row, and the bound that each row belongs to."""
        paid: list[float] = []
        meters: list[int] = []
        for number, price in enumerate(self.prices):
            for moment in price.moments:
                fixed = price.overhead
                for charge in moment:
                    scope, cells = self._where(charge)
                    cost = charge.prices[cells]
                    if not scope:
                        fixed += float(cost)
                        continue
                    rows = self._tables.setdefault(scope, {})
                    share, row = cost / price.bound.limit, len(paid)
                    rows[row] = rows[row] + share if row in rows else share
                paid.append(fixed / price.bound.limit)
                meters.append(number)
        return paid, meters

    def _where(self, charge: Charge) -> tuple[tuple[int, ...], np.ndarray]:
        """The variables that a charge depends on, and its row of sums at each of their values."""
        reach = charge.reach
        if id(reach) not in self._cells:
            base = np.zeros(reach.sums.shape[1], np.int64)
            free = []
            for name, added in zip(reach.groups, reach.added, strict=True):
                if name in self.index:
                    free.append((self.index[name], added[self.allowed[name]]))
                else:
                    base = base + added[self.allowed[name][0]]
            scope, sums = self._scope(free)
            self._cells[id(reach)] = (scope, reach.numbers(base + sums))
        return self._cells[id(reach)]

    def _scope(self, free: list[tuple[int, np.ndarray]]) -> tuple[tuple[int, ...], np.ndarray]:
        """The variables, rising, and the sums at each of their values."""
        if not free:
            return (), np.zeros((), np.int64)
        if len(free) == 1:
            return (free[0][0],), free[0][1]
        last, last_sums = free[-1]
        left, left_sums = self._summed(free[:-1])
        sums = left_sums[:, None] + last_sums[None]
        return ((left, last), sums) if left < last else ((last, left), sums.swapaxes(0, 1))

    def _summed(self, free: list[tuple[int, np.ndarray]]) -> tuple[int, np.ndarray]:
        """The variable that says what these groups sum up to, and the sums (values x Q)."""
        if len(free) == 1:
            return free[0]
        patterns = [
            tuple(part[:, q].tobytes() for _, part in free) for q in range(free[0][1].shape[1])
        ]
        kept = [q for q, p in enumerate(patterns) if any(part[:, q].any() for _, part in free)]
        first = {patterns[q]: q for q in reversed(kept)}
        kinds = sorted(first.values())
        key = (tuple(g for g, _ in free), tuple(patterns[q] for q in kinds))
        if key not in self._sums:
            self._sums[key] = self._linked([(g, part[:, kinds]) for g, part in free])
        state, sums = self._sums[key]
        place = [kinds.index(first[p]) if p in first else len(kinds) for p in patterns]
        padded = np.concatenate([sums, np.zeros((len(sums), 1), np.int64)], axis=1)
        return state, padded[:, place]

    def _linked(self, free: list[tuple[int, np.ndarray]]) -> tuple[int, np.ndarray]:
        """A new variable behind the one of all but the last group."""
        left, left_sums = self._summed(free[:-1])
        right, right_sums = free[-1]
        kinds = right_sums.shape[1]
        every = (left_sums[:, None] + right_sums[None]).reshape(-1, kinds)
        sums, like = distinct(every)
        following = like.reshape(len(left_sums), len(right_sums))
        target = len(self.sizes)
        self.sizes.append(len(sums))
        self.links.append(Link(left=left, right=right, target=target, following=following))
        return target, sums

    def _flatten(self, paid: np.ndarray) -> None:
        self.scopes = list(self._tables)
        shapes = [tuple(self.sizes[v] for v in scope) for scope in self.scopes]
        sizes = [int(np.prod(shape)) for shape in shapes]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        most = paid.copy()
        for rows in self._tables.values():
            for row, cost in rows.items():
                most[row] += cost.max()
        self.rows = np.flatnonzero(most > 1 + SLACK)
        number = {int(row): i for i, row in enumerate(self.rows)}
        entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for offset, rows in zip(self.offsets, self._tables.values(), strict=False):
            for row, cost in rows.items():
                if row in number:
                    at = offset + np.arange(cost.size)
                    entries.append((cost.reshape(-1), at, np.full(cost.size, number[row])))
        shape = (int(self.offsets[-1]), len(self.rows))
        if entries:
            costs, places, numbers = (np.concatenate(p) for p in zip(*entries, strict=True))
            self.costs = csr_array((costs, (places, numbers)), shape=shape)
        else:
            self.costs = csr_array(shape)
        self.room = (1.0 - paid)[self.rows]
        self.meter = np.array(self.meters, dtype=np.int64)[self.rows]
        self.values = np.zeros(shape[0])
        for i, name in enumerate(self.names):
            self.values[self.offsets[i] : self.offsets[i + 1]] = self.worth[name][
                self.allowed[name]
            ]
        self._tabulate(shapes)
        del self._tables, self._cells, self._sums

    def _tabulate(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """For every table its first variable, its stride and its second, or a dummy."""
        dummy = len(self.sizes)
        self.first = np.array([scope[0] for scope in self.scopes], dtype=np.int64)
        self.second = np.array([(*scope, dummy)[1] for scope in self.scopes], dtype=np.int64)
        self.strides = np.array([(*shape, 1)[1] for shape in shapes], dtype=np.int64)
        owners: list[set[int]] = [{v} if v < len(self.names) else set() for v in range(dummy)]
        for link in self.links:
            owners[link.target] = owners[link.left] | owners[link.right]
        groups = [set().union(*(owners[v] for v in scope)) for scope in self.scopes]
        self.touching = [
            np.array([t for t, own in enumerate(groups) if g in own], dtype=np.int64)
            for g in range(len(self.names))
        ]
        self.beside = [
            sorted(set().union(*(groups[t] for t in tables)) - {g})
            for g, tables in enumerate(self.touching)
        ]
        self.summed = [
            any(g in owners[link.target] for link in self.links) for g in range(len(self.names))
        ]

    # --- asking

    def lowest(self) -> np.ndarray:
        """Every group at its first allowed option."""
        return np.zeros(len(self.names), dtype=np.int64)

    def choice(self, x: np.ndarray) -> dict[str, int]:
        """The option numbers of the groups, those without a choice too."""
        found = {name: int(self.allowed[name][0]) for name in self.choices}
        for name, k in zip(self.names, x, strict=True):
            found[name] = int(self.allowed[name][k])
        return found

    def point(self, choice: Mapping[str, int]) -> np.ndarray:
        """The choice as numbers of allowed options (each the nearest that is not above it)."""
        return np.array(
            [np.searchsorted(self.allowed[n], choice[n], side="right") - 1 for n in self.names],
            dtype=np.int64,
        ).clip(0)

    def entries(self, x: np.ndarray) -> np.ndarray:
        """The entry of every table at these options (groups, or groups x many)."""
        full = self._full(x)
        return self._entries(full, slice(None))

    def _full(self, x: np.ndarray) -> np.ndarray:
        full = np.zeros((len(self.sizes) + 1, *x.shape[1:]), dtype=np.int64)
        full[: len(self.names)] = x
        for link in self.links:
            full[link.target] = link.following[full[link.left], full[link.right]]
        return full

    def _entries(self, full: np.ndarray, tables: slice | np.ndarray) -> np.ndarray:
        column = (slice(None), *([None] * (full.ndim - 1)))
        at = full[self.first[tables]] * self.strides[tables][column]
        return np.asarray(self.offsets[:-1][tables][column] + at + full[self.second[tables]])

    def value(self, x: np.ndarray) -> float:
        """The sum of values at these options, without what is settled."""
        at = self.offsets[: len(self.names)] + x
        return float(self.values[at].sum())

    def used(self, x: np.ndarray) -> np.ndarray:
        """R: what the rows cost at these options, as shares of the limits."""
        return self.spent(self.entries(x))

    def spent(self, entries: np.ndarray) -> np.ndarray:
        """R: what these entries cost together."""
        return np.asarray(self.costs[entries].sum(axis=0)).reshape(-1)

    def kept(self, used: np.ndarray) -> bool:
        """Whether every row is within its room."""
        return bool((used <= self.room + SLACK).all())

    def alone(self, group: int, x: np.ndarray) -> np.ndarray:
        """K x R: what the tables of one group cost at each of its options, all others as they
        are.
        """
        count, tables = self.sizes[group], self.touching[group]
        many = np.repeat(x[:, None], count, axis=1)
        many[group] = np.arange(count)
        if self.summed[group]:
            full = self._full(many)
        else:
            full = np.repeat(self._full(x)[:, None], count, axis=1)
            full[group] = np.arange(count)
        at = self._entries(full, tables)
        cost = self.costs[at.reshape(-1)].toarray()
        return np.asarray(cost.reshape(len(tables), count, -1).sum(axis=0))

    def restricted(self, kept: Sequence[np.ndarray]) -> Program:
        """The program in which every group has these of its allowed options only."""
        allowed = dict(self.allowed)
        for name, mask in zip(self.names, kept, strict=True):
            allowed[name] = self.allowed[name][mask]
        return Program(self.choices, self.prices, self.worth, allowed)

"""The best growth under several hard limits: a multiple-choice knapsack with pair costs, solved to
a stated gap.

A binary variable for every group and width; a layer between two groups has a variable for every
pair of widths, tied to both groups' choices by its marginals; a layer that reads more (behind a
concatenation) has one for all that their columns can sum up to. HiGHS (`scipy.optimize.milp`)
solves it. [Wang2019] relax the program to fractions of channels, price them by MACs and round: the
limit is then not guaranteed, here it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound
from easearch.selection.greedy import climbed
from easearch.selection.knapsack import Choice, planned
from easearch.selection.options import Charge, Columns, Options, Pricing


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Integer program, to a relative gap and within a time limit.

    Attributes:
        gap: relative distance from the best possible gain at which the solver may stop.
        seconds: time limit; the best plan found by then is taken, and its gap stated.
    """

    gap: float = 1e-4
    seconds: float = 30.0

    def select(
        self, candidates: Sequence[Candidate], graph: Graph, bounds: Sequence[Bound], step: int
    ) -> Plan:
        """The plan with the largest summed gain that keeps every bound; room left is filled.

        Raises:
            BudgetError: the network exceeds a bound before any growth.
        """
        return planned(candidates, graph, bounds, step, "exact", self._solve)

    def _solve(self, choices: Options, prices: Sequence[Pricing]) -> Choice:
        program = _Program(choices, prices)
        picked, gap = program.solve(self.gap, self.seconds)
        return Choice(picked=picked, gap=gap, shadow_prices=program.shadow_prices)


@dataclass
class _Program:
    """The program's columns and rows: minimise `-gain . x`, `equal x = rhs`, `limits x <= room`."""

    choices: Options
    prices: Sequence[Pricing]
    columns: dict[Hashable, int] = field(default_factory=dict)
    integral: list[int] = field(default_factory=list)
    equal: list[tuple[dict[int, float], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, ladder in self.choices.items():
            chosen = {self._column(((name, k),), integral=1): 1.0 for k in range(len(ladder))}
            self.equal.append((chosen, 1.0))
        for price in self.prices:
            for charge in itertools.chain.from_iterable(price.moments):
                if len(charge.groups) == 2:
                    self._tie(charge)
                elif len(charge.groups) > 2:
                    self._sum(charge)
        # Gains are millinats: in units of their sum the solver's absolute tolerances do no harm.
        self.unit = sum(ladder[-1].value for ladder in self.choices.values()) or 1.0
        self.cost = np.zeros(len(self.columns))
        for name, ladder in self.choices.items():
            for k, option in enumerate(ladder):
                self.cost[self.columns[((name, k),)]] = -option.value / self.unit
        self.limits, self.room, self.meters = self._limits()

    def _column(self, key: Hashable, integral: int) -> int:
        if key not in self.columns:
            self.columns[key] = len(self.columns)
            self.integral.append(integral)
        self.integral[self.columns[key]] |= integral
        return self.columns[key]

    def _tie(self, charge: Charge) -> None:
        """A variable for every combination of the charge's groups; its marginals are the groups'
        own choices.
        """
        keys = list(_combinations(charge))
        if keys[0] in self.columns:
            return
        for key in keys:
            self._column(key, integral=0)
        for place, name in enumerate(charge.groups):
            for k in range(len(self.choices[name])):
                row = {self.columns[key]: 1.0 for key in keys if key[place][1] == k}
                row[self.columns[((name, k),)]] = -1.0
                self.equal.append((row, 0.0))

    def _sum(self, charge: Charge) -> None:
        """A variable for all columns that the charge's groups sum up to, of which one is chosen:
        that of their choices.
        """
        new = (_sums(charge), charge.base) not in self.columns
        integral = int(not _convex(charge))
        for columns in charge.prices:
            self._column((_sums(charge), columns), integral)
        if not new:
            return
        found = {columns: self.columns[_sums(charge), columns] for columns in charge.prices}
        self.equal.append((dict.fromkeys(found.values(), 1.0), 1.0))
        for place, owners in _places(charge):
            if len(owners) == 1:
                self._decide(charge, owners[0], place, found)
                continue
            scale = max(columns[place] for columns in found)
            row = {column: columns[place] / scale for columns, column in found.items()}
            for owner in owners:
                for k, more in enumerate(charge.added[owner]):
                    row[self.columns[((charge.groups[owner], k),)]] = -more[place] / scale
            self.equal.append((row, charge.base[place] / scale))

    def _decide(self, charge: Charge, owner: int, place: int, found: dict[Columns, int]) -> None:
        """One group alone says what stands at a place: its choice does."""
        for k, more in enumerate(charge.added[owner]):
            at = charge.base[place] + more[place]
            row = {column: 1.0 for columns, column in found.items() if columns[place] == at}
            row[self.columns[((charge.groups[owner], k),)]] = -1.0
            self.equal.append((row, 0.0))

    def _terms(self, charge: Charge) -> Iterator[tuple[int, float]]:
        """The variables that a charge is a sum over, with their prices."""
        if len(charge.groups) > 2:
            for columns, price in charge.prices.items():
                yield self.columns[_sums(charge), columns], price
            return
        for key in _combinations(charge):
            yield self.columns[key], charge.prices[charge.columns(k for _, k in key)]

    def _limits(self) -> tuple[list[dict[int, float]], list[float], list[int]]:
        rows: list[dict[int, float]] = []
        room: list[float] = []
        meters: list[int] = []
        for number, price in enumerate(self.prices):
            scale = price.bound.limit  # rows of size 1 keep the solver's tolerances meaningful
            for moment in price.moments:
                row: dict[int, float] = {}
                fixed = price.overhead
                for charge in moment:
                    if not charge.groups:
                        fixed += charge.prices[charge.base]
                        continue
                    for column, value in self._terms(charge):
                        row[column] = row.get(column, 0.0) + value / scale
                rows.append(row)
                room.append((price.bound.limit - fixed) / scale)
                meters.append(number)
        return rows, room, meters

    def solve(self, gap: float, seconds: float) -> tuple[dict[str, int], float]:
        """The chosen option of every group, and the gap that is left.

        HiGHS keeps rows to 1e-6 of the limit: where a plan uses that up, the room is tightened and
        solved again. Where that leaves nothing, or the time did not suffice for any plan, the
        greedy one is taken.
        """
        slack = 0.0
        for _ in range(3):
            found = milp(
                self.cost,
                integrality=np.array(self.integral),
                bounds=Bounds(0, 1),
                constraints=[
                    LinearConstraint(self._matrix([r for r, _ in self.equal]), *self._sides()),
                    LinearConstraint(self._matrix(self.limits), ub=np.array(self.room) - slack),
                ],
                options={"mip_rel_gap": gap, "time_limit": seconds},
            )
            if found.x is None:
                break
            choice = {
                name: int(
                    np.argmax([found.x[self.columns[((name, k),)]] for k in range(len(ladder))])
                )
                for name, ladder in self.choices.items()
            }
            if all(price.kept(choice) for price in self.prices):
                return choice, float(found.mip_gap or 0.0)
            slack = 2e-6 if slack == 0 else slack * 10
        return climbed(self.choices, self.prices), float("inf")

    def shadow_prices(self) -> list[float]:
        """For every bound, the gain (nats) that one more unit would buy: the duals of the relaxed
        program.
        """
        relaxed = linprog(
            self.cost,
            A_ub=self._matrix(self.limits),
            b_ub=np.array(self.room),
            A_eq=self._matrix([row for row, _ in self.equal]),
            b_eq=np.array([side for _, side in self.equal]),
            bounds=(0, 1),
            method="highs",
        )
        values = [0.0] * len(self.prices)
        if relaxed.status == 0:
            for number, dual in zip(self.meters, relaxed.ineqlin.marginals, strict=True):
                values[number] += -float(dual) * self.unit / self.prices[number].bound.limit
        return values

    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        side = np.array([side for _, side in self.equal])
        return side, side

    def _matrix(self, rows: Sequence[dict[int, float]]) -> csr_array:
        entries = [(i, j, v) for i, row in enumerate(rows) for j, v in row.items()]
        i, j, v = (
            (list(column) for column in zip(*entries, strict=True)) if entries else ([], [], [])
        )
        return csr_array((v, (i, j)), shape=(len(rows), len(self.columns)))


def _combinations(charge: Charge) -> list[tuple[tuple[str, int], ...]]:
    """Every choice of a charge's groups."""
    sizes = [range(len(options)) for options in charge.added]
    return [tuple(zip(charge.groups, picked, strict=True)) for picked in itertools.product(*sizes)]


def _sums(charge: Charge) -> Hashable:
    """What charges have in common that depend on the same sums."""
    return charge.groups, charge.base, charge.added


def _places(charge: Charge) -> list[tuple[int, list[int]]]:
    """Places among the columns that differ from each other, and the groups that change them."""
    found: dict[Hashable, tuple[int, list[int]]] = {}
    for place, base in enumerate(charge.base):
        more = tuple(tuple(columns[place] for columns in options) for options in charge.added)
        owners = [owner for owner, options in enumerate(more) if any(options)]
        if owners:
            found.setdefault((base, more), (place, owners))
    return list(found.values())


def _convex(charge: Charge) -> bool:
    """Whether prices are convex along the only sum, all else given: then the variables of sums
    need not be whole for the cost to be right.
    """
    summed = [place for place, owners in _places(charge) if len(owners) > 1]
    if len(summed) > 1:
        return False
    single = [place for place, owners in _places(charge) if len(owners) == 1]
    lines: dict[Columns, list[tuple[int, float]]] = {}
    for columns, price in charge.prices.items():
        fixed = tuple(columns[place] for place in single)
        lines.setdefault(fixed, []).append((sum(columns[place] for place in summed), price))
    return all(_rising(sorted(line)) for line in lines.values())


def _rising(line: Sequence[tuple[int, float]]) -> bool:
    """Whether slopes never fall from point to point."""
    slopes = [(b - a) / (y - x) for (x, a), (y, b) in itertools.pairwise(line)]
    return all(b >= a - 1e-9 * abs(a) for a, b in itertools.pairwise(slopes))

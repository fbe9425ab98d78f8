"""The best growth under several hard limits: a multiple-choice knapsack with pair costs, solved to
a stated gap.

A binary variable for every group and width; a layer between two groups has a variable for every
pair of widths, tied to both groups' choices by its marginals. HiGHS (`scipy.optimize.milp`) solves
it. [Wang2019] relax the program to fractions of channels, price them by MACs and round: the limit
is then not guaranteed, here it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from easearch.graph import Graph
from easearch.moves import Candidate, Plan
from easearch.roles import Bound
from easearch.selection.greedy import climbed
from easearch.selection.knapsack import Choice, planned
from easearch.selection.options import Charge, Options, Pricing


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
    columns: dict[tuple[tuple[str, int], ...], int] = field(default_factory=dict)
    integral: list[int] = field(default_factory=list)
    equal: list[tuple[dict[int, float], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, ladder in self.choices.items():
            chosen = {self._column(((name, k),), integral=1): 1.0 for k in range(len(ladder))}
            self.equal.append((chosen, 1.0))
        for price in self.prices:
            for charge in itertools.chain.from_iterable(price.moments):
                if len(charge.groups) > 1:
                    self._tie(charge)
        # Gains are millinats: in units of their sum the solver's absolute tolerances do no harm.
        self.unit = sum(ladder[-1].value for ladder in self.choices.values()) or 1.0
        self.cost = np.zeros(len(self.columns))
        for name, ladder in self.choices.items():
            for k, option in enumerate(ladder):
                self.cost[self.columns[((name, k),)]] = -option.value / self.unit
        self.limits, self.room, self.meters = self._limits()

    def _column(self, key: tuple[tuple[str, int], ...], integral: int) -> int:
        if key not in self.columns:
            self.columns[key] = len(self.columns)
            self.integral.append(integral)
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
                        fixed += float(charge.table)
                        continue
                    for key, value in zip(_combinations(charge), charge.table.flat, strict=True):
                        column = self.columns[key]
                        row[column] = row.get(column, 0.0) + float(value) / scale
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
    """The keys of a charge's table, in the order of `table.flat`."""
    sizes = [range(n) for n in charge.table.shape]
    return [tuple(zip(charge.groups, picked, strict=True)) for picked in itertools.product(*sizes)]

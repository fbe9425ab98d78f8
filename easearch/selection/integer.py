"""A program as an integer program for HiGHS.

A binary variable for every group and option; a table over two variables has a variable for every
pair of values, tied to both by its marginals; a sum so far is tied to the pair that it is the sum
of. Given whole groups all others are whole by themselves.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, vstack

from easearch.selection.program import Program

TIGHTER = 2e-6
"""Shares of the limits: HiGHS keeps rows to 1e-6."""


class Integer:
    """The columns: values of every variable, then of every pair that a table or a link needs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        sizes = program.sizes
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.columns = int(self.starts[-1])
        self.pairs: dict[tuple[int, int], int] = {}
        for scope in program.scopes:
            if len(scope) == 2:
                self._pair(scope[0], scope[1])
        for link in program.links:
            self._pair(*sorted((link.left, link.right)))
        # Gains are millinats: in units of their sum the solver's absolute tolerances do no harm.
        own = range(len(program.names))
        spans = [(program.offsets[g], program.offsets[g + 1]) for g in own]
        self.unit = sum(abs(program.values[a:b]).max() for a, b in spans) or 1.0
        self.objective = np.zeros(self.columns)
        for g, (a, b) in enumerate(spans):
            self.objective[self.starts[g] : self.starts[g + 1]] = -program.values[a:b] / self.unit

    def _pair(self, one: int, two: int) -> None:
        if (one, two) not in self.pairs:
            self.pairs[one, two] = self.columns
            self.columns += self.program.sizes[one] * self.program.sizes[two]

    def solve(self, gap: float, seconds: float) -> tuple[np.ndarray | None, float]:
        """A choice within the limits, None if none was found, and what no choice is worth more
        than.

        Where a choice uses up the solver's tolerance, the room is tightened and solved again; the
        bound stays the first one's.
        """
        if not self.program.names:
            x = self.program.lowest()
            return (x, 0.0) if self.program.kept(self.program.used(x)) else (None, -np.inf)
        upper = np.inf
        for slack in (0.0, TIGHTER, 10 * TIGHTER):
            found = milp(
                self.objective,
                integrality=np.arange(self.columns) < self.starts[len(self.program.names)],
                bounds=Bounds(0, 1),
                constraints=self._constraints(slack),
                # Presolved, HiGHS 1.x at times writes a line of its own to standard output, where
                # others read JSON; what is left to solve here is small enough to do without.
                options={"mip_rel_gap": gap, "time_limit": seconds, "presolve": False},
            )
            if slack == 0.0:
                upper = self._proven(found)
            if found.x is None:
                return None, upper
            x = np.array(
                [
                    found.x[self.starts[g] : self.starts[g + 1]].argmax()
                    for g in range(len(self.program.names))
                ],
                dtype=np.int64,
            )
            if self.program.kept(self.program.used(x)):
                return x, upper
        return None, upper

    def _proven(self, found: object) -> float:
        """What the solver says no choice is worth more than; without any choice minus infinity."""
        if getattr(found, "status", None) == 2:
            return -np.inf
        bound = getattr(found, "mip_dual_bound", None)
        return np.inf if bound is None else -float(bound) * self.unit

    def _constraints(self, slack: float) -> list[LinearConstraint]:
        equal, side = self._ties()
        limits = self._limits()
        found = [LinearConstraint(equal, side, side)]
        if limits.shape[0]:
            found.append(LinearConstraint(limits, ub=self.program.room - slack))
        return found

    def _ties(self) -> tuple[csr_array, np.ndarray]:
        """One option a group; every pair's marginals are its variables; sums are their pairs'."""
        sizes, blocks = self.program.sizes, []
        sides: list[np.ndarray] = []
        for g in range(len(self.program.names)):
            at = np.arange(self.starts[g], self.starts[g + 1])
            blocks.append(self._block([(np.zeros(len(at), np.int64), at, 1.0)], 1))
            sides.append(np.ones(1))
        for (one, two), start in self.pairs.items():
            cells = start + np.arange(sizes[one] * sizes[two])
            rows = np.divmod(np.arange(len(cells)), sizes[two])
            for v, row in zip((one, two), rows, strict=True):
                blocks.append(self._marginal(v, row, cells))
                sides.append(np.zeros(sizes[v]))
        for link in self.program.links:
            one, two = sorted((link.left, link.right))
            table = link.following if link.left == one else link.following.T
            cells = self.pairs[one, two] + np.arange(table.size)
            blocks.append(self._marginal(link.target, table.reshape(-1), cells))
            sides.append(np.zeros(sizes[link.target]))
        return vstack(blocks, format="csr"), np.concatenate(sides)

    def _marginal(self, variable: int, row: np.ndarray, cells: np.ndarray) -> csr_array:
        size = self.program.sizes[variable]
        own = self.starts[variable] + np.arange(size)
        return self._block([(row, cells, 1.0), (np.arange(size), own, -1.0)], size)

    def _block(self, parts: list[tuple[np.ndarray, np.ndarray, float]], rows: int) -> csr_array:
        row = np.concatenate([r for r, _, _ in parts])
        column = np.concatenate([c for _, c, _ in parts])
        value = np.concatenate([np.full(len(r), v) for r, _, v in parts])
        return csr_array(coo_array((value, (row, column)), shape=(rows, self.columns)))

    def _limits(self) -> csr_array:
        """R x columns: the entries' costs at their columns."""
        program = self.program
        at = np.concatenate(
            [
                (self.starts[scope[0]] if len(scope) == 1 else self.pairs[scope[0], scope[1]])
                + np.arange(program.offsets[t + 1] - program.offsets[t])
                for t, scope in enumerate(program.scopes)
            ]
            or [np.empty(0, np.int64)]
        )
        entries = coo_array(program.costs)
        return csr_array(
            coo_array(
                (entries.data, (entries.col, at[entries.row])),
                shape=(len(program.room), self.columns),
            )
        )

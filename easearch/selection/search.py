"""From any choice to a good one within the limits: repair, climb, exchange.

All options of all groups are weighed at once: `N` changes of a single group, their values and what
they add to each of the `R` rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from easearch.selection.program import SLACK, Program

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(values N, added N x R) -> how good each change is."""


class Search:
    """A choice that is changed step by step; what single changes would do is kept up to date."""

    def __init__(self, program: Program, x: np.ndarray) -> None:
        self.program = program
        self.x = x.copy()
        self.starts = program.offsets[: len(program.names) + 1]
        self.group = np.repeat(np.arange(len(program.names)), program.sizes[: len(program.names)])
        self.option = np.arange(self.starts[-1]) - self.starts[self.group]
        self.worth = program.values[: self.starts[-1]]
        self.used = program.used(x)
        self.costs = np.zeros((self.starts[-1], len(program.rows)))
        for g in range(len(program.names)):
            self._weigh(g)

    @property
    def value(self) -> float:
        """What the choice is worth."""
        return self.program.value(self.x)

    @property
    def kept(self) -> bool:
        """Whether it is within the limits."""
        return self.program.kept(self.used)

    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """What every single change gains (N), and what it adds (N x R)."""
        here = self.starts[:-1] + self.x
        gains = self.worth - self.worth[here][self.group]
        return gains, self.costs - self.costs[here][self.group]

    def take(self, number: int) -> None:
        """Make one change."""
        group = int(self.group[number])
        self.x[group] = self.option[number]
        self.used = self.program.used(self.x)
        for g in (group, *self.program.beside[group]):
            self._weigh(g)

    def able(self) -> bool:
        """Whether any single change that gains fits."""
        gains, added = self.changes()
        fits = (self.used + added <= self.program.room + SLACK).all(axis=1)
        return bool((fits & (gains > 0)).any())

    def climb(self, score: Score, wider: bool = False) -> None:
        """Take the change that scores best, again and again, while one gains and fits.

        `wider`: no group goes back.
        """
        while len(self.worth):
            gains, added = self.changes()
            fits = (self.used + added <= self.program.room + SLACK).all(axis=1) & (gains > 0)
            if wider:
                fits &= self.option > self.x[self.group]
            if not fits.any():
                return
            numbers = np.flatnonzero(fits)
            self.take(int(numbers[score(gains[fits], added[fits]).argmax()]))

    def repair(self, lam: np.ndarray) -> bool:
        """Change what costs the least for what it takes off the rows that are above their limit;
        whether all are kept in the end.
        """
        for _ in range(4 * len(self.worth)):
            if self.kept:
                return True
            over = np.maximum(self.used - self.program.room, 0.0)
            gains, added = self.changes()
            after = np.maximum(self.used + added - self.program.room, 0.0)
            relief = (over - after).sum(axis=1)
            helps = np.flatnonzero(relief > 1e-15)
            if not len(helps):
                return False
            loss = np.maximum(added[helps] @ lam - gains[helps], 0.0)
            scale = 1e-9 * (1.0 + float(lam.sum()))
            self.take(int(helps[((loss + scale) / relief[helps]).argmin()]))
        return self.kept

    def exchange(self, lam: np.ndarray, most: int) -> bool:
        """Make the best pair of changes that together gain and fit, of the `most` single changes
        that lose least at the prices `lam`; whether there was one.
        """
        gains, added = self.changes()
        loss = added @ lam - gains
        moved = np.flatnonzero(self.option != self.x[self.group])
        near = moved[np.argsort(loss[moved], kind="stable")[:most]]
        first, second = np.triu_indices(len(near), k=1)
        together = gains[near][first] + gains[near][second]
        able = (together > 1e-12 * abs(self.value)) & (
            self.group[near][first] != self.group[near][second]
        )
        first, second, together = first[able], second[able], together[able]
        room = self.program.room + SLACK - self.used
        fits = np.ones(len(first), dtype=bool)
        for row in range(len(room)):
            column = added[near, row]
            fits &= column[first] + column[second] <= room[row]
        first, second, together = first[fits], second[fits], together[fits]
        for number in np.argsort(-together, kind="stable")[:20]:
            one, two = near[first[number]], near[second[number]]
            x = self.x.copy()
            x[self.group[one]], x[self.group[two]] = self.option[one], self.option[two]
            if self.program.kept(self.program.used(x)):  # neighbours' costs are not additive
                self.take(int(one))
                self.take(int(two))
                return True
        return False

    def _weigh(self, group: int) -> None:
        start, end = self.starts[group], self.starts[group + 1]
        self.costs[start:end] = self.program.alone(group, self.x)


def polished(
    program: Program, x: np.ndarray, lam: np.ndarray, *, until: float, most: int = 250
) -> np.ndarray | None:
    """The choice repaired, filled and improved by single and double changes; None where the limits
    cannot be kept from there.
    """
    search = Search(program, x)
    if not search.repair(lam):
        return None

    def corrected(gains: np.ndarray, added: np.ndarray) -> np.ndarray:
        return np.asarray(gains - added @ lam)

    search.climb(corrected)
    while time.perf_counter() < until and search.exchange(lam, most):
        search.climb(corrected)
    return search.x


def by_ratio(gains: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Gain for the share of the limits that is used, of the limit that is used most."""
    return np.asarray(gains / np.maximum(added.max(axis=1, initial=0.0), 1e-9))

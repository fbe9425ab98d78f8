"""Numbers over seeds: means, paired differences to a reference, their intervals; and the
hypervolume of a front.

Intervals are Student's t over seeds: percentile bootstraps of five seeds cover 85 %, not 95 %.

[Zitzler1999] E. Zitzler and L. Thiele, Multiobjective Evolutionary Algorithms: A
Comparative Case Study and the Strength Pareto Approach, IEEE Transactions on Evolutionary
Computation 3, 257-271, 1999: the area that a front covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
Interval = tuple[float, float]
Entries = Sequence[Mapping[str, Any]]
"""What `entry.json` holds, seed by seed."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One number of an arm at every seed, and how it differs from the reference's."""

    values: tuple[float, ...]
    """Seed by seed."""
    mean: float
    interval: Interval | None
    differences: tuple[float, ...]
    """To the reference, at every seed that both have."""
    difference: float | None
    difference_interval: Interval | None


def paired(
    entries: Entries,
    reference: Entries,
    number: Callable[[Mapping[str, Any]], float],
) -> Paired:
    """A number of every entry, and its differences to the reference's of the same seed."""
    values = tuple(number(one) for one in entries)
    known = {one["seed"]: number(one) for one in reference if entries is not reference}
    differences = tuple(
        value - known[one["seed"]]
        for one, value in zip(entries, values, strict=True)
        if one["seed"] in known
    )
    return Paired(
        values=values,
        mean=float(np.mean(values)),
        interval=t_interval(values),
        differences=differences,
        difference=float(np.mean(differences)) if differences else None,
        difference_interval=t_interval(differences),
    )


def hypervolume(
    points: Iterable[tuple[float, float]], low: float, high: float, chance: float
) -> float:
    """The area under a front [Zitzler1999], between the smallest and the largest limit: what a
    budget drawn evenly between them buys in accuracy above chance, on average.

    S(x) is the best accuracy that costs x or less, at least that of guessing; the area is the
    integral of S(x) - chance from `low` to `high`, over (high - low)(1 - chance). A perfect
    classifier that costs nothing has 1, guessing has 0. What a network saves below `low` counts for
    nothing, and one that just keeps the largest limit adds little: no budget is left above it.

    Args:
        points: (cost, accuracy) of every network that keeps its limits.
        low: the smallest limit, in the unit of the costs.
        high: the largest limit.
        chance: accuracy of guessing, one over the number of classes.
    """
    area, at, best = 0.0, low, chance
    for cost, accuracy in sorted(points):
        reached = min(max(cost, at), high)
        area += (reached - at) * (best - chance)
        at, best = reached, max(best, accuracy)
    area += (high - at) * (best - chance)
    return area / ((high - low) * (1 - chance))


def t_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean by Student's t; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean - half, mean + half

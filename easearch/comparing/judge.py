"""The judge: accuracy of every arm, and its paired differences to a reference arm, with intervals.

The same seed gives every arm the same order of data, so differences are taken seed by seed.
Intervals are percentile bootstraps over seeds [Efron1979]; with few seeds they are narrower than
their name says (the page says so).

[Efron1979] B. Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7,
1-26, 1979.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from easearch.comparing.arms import ARMS
from easearch.reporting.digits import signed_text

RESAMPLES = 10_000
LEVEL = 0.95
Interval = tuple[float, float]
FEWEST = 5
"""Seeds from which on something may be claimed: two that agree are a toss of a coin."""
Claim = Literal["reference", "ahead", "behind", "open", "limit missed", "few seeds"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm over all of its seeds. Accuracies are fractions."""

    arm: str
    about: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    """On test, seed by seed."""
    accuracy: float
    interval: Interval | None
    differences: tuple[float, ...]
    """To the reference, at every seed that both have."""
    difference: float | None
    difference_interval: Interval | None
    claim: Claim
    """What may be said of the arm against the reference: `ahead` where the interval of the
    difference lies above zero, over `FEWEST` seeds or more, and every limit was kept.
    """
    costs: Mapping[str, float]
    """Mean over the seeds, by meter: measured on the file where that can be done."""
    met: int
    """At how many seeds every limit was kept."""
    compute: float
    """Mean of the multiply-adds spent."""
    seconds: float
    """Mean wall-clock of the arm; beside others it takes longer."""
    macs: float
    params: float


def rows_of(entries: Sequence[Mapping[str, Any]], reference: str) -> list[Row]:
    """A row an arm, in the order of `ARMS`."""
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(entries, key=lambda one: int(one["seed"])):
        by_arm.setdefault(one["arm"], []).append(one)
    known = {one["seed"]: _accuracy(one) for one in by_arm.get(reference, ())}
    order = list(ARMS)
    names = sorted(by_arm, key=lambda arm: (order.index(arm.partition(":")[0]), arm))
    return [_row(arm, by_arm[arm], known, arm == reference) for arm in names]


def sentence(row: Row, reference: str) -> str:
    """What may be said, in points and seeds: `grow is ahead of uniform by 0.8 points (0.2 to 1.3),
    paired over 5 seeds`.
    """
    if row.claim == "reference" or row.difference is None:
        return f"{row.arm} has no seed in common with {reference}"
    points, count = _points(row.difference), len(row.differences)
    if row.difference_interval is None:
        return f"{row.arm} against {reference}: {points} points at one seed, which claims nothing"
    low, high = (_points(end) for end in row.difference_interval)
    inside = f"{points} points ({low} to {high}), paired over {count} seeds"
    told = {
        "ahead": f"{row.arm} is ahead of {reference}",
        "behind": f"{row.arm} is behind {reference}",
        "open": f"between {row.arm} and {reference} nothing is decided",
        "few seeds": f"{row.arm} against {reference}, on too few seeds for a claim",
        "limit missed": f"{row.arm} missed a limit and can claim nothing against {reference}",
    }
    return f"{told[row.claim]}: {inside}"


def _row(
    arm: str, entries: Sequence[Mapping[str, Any]], reference: Mapping[int, float], own: bool
) -> Row:
    accuracies = tuple(_accuracy(one) for one in entries)
    paired = tuple(_accuracy(o) - reference[o["seed"]] for o in entries if o["seed"] in reference)
    differences = () if own else paired
    met = sum(bool(one["meets"]) for one in entries)
    between = bootstrap(differences)
    return Row(
        arm=arm,
        about=ARMS[arm.partition(":")[0]].about,
        seeds=tuple(int(one["seed"]) for one in entries),
        accuracies=accuracies,
        accuracy=float(np.mean(accuracies)),
        interval=bootstrap(accuracies),
        differences=differences,
        difference=float(np.mean(differences)) if differences else None,
        difference_interval=between,
        claim=_claim(own, between, len(differences), met == len(entries)),
        costs=_costs(entries),
        met=met,
        compute=_mean(one["compute"]["total"] for one in entries),
        seconds=_mean(one["seconds"]["arm"] for one in entries),
        macs=_mean(one["macs"] for one in entries),
        params=_mean(one["params"] for one in entries),
    )


def _claim(own: bool, between: Interval | None, seeds: int, met: bool) -> Claim:
    if own:
        return "reference"
    if between is None or seeds < FEWEST:
        return "few seeds"
    if between[1] < 0:
        return "behind"
    if not met:
        return "limit missed"
    return "ahead" if between[0] > 0 else "open"


def _accuracy(entry: Mapping[str, Any]) -> float:
    return float(entry["test"]["accuracy"])


def _costs(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    def cost(proof: Mapping[str, Any]) -> float:
        measured = proof["measured"]
        return float(proof["predicted"] if measured is None else measured)

    by_meter: dict[str, list[float]] = {}
    for proof in (proof for one in entries for proof in one["limits"]):
        by_meter.setdefault(proof["meter"], []).append(cost(proof))
    return {meter: float(np.mean(found)) for meter, found in by_meter.items()}


def _points(difference: float) -> str:
    return signed_text(f"{100 * difference:+.1f}")


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


# --- formulas


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval | None:
    """The percentile interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    means = np.asarray(values)[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

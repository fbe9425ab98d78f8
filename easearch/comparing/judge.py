"""The judge: accuracy of every arm, and its paired differences to a reference arm, with intervals.

An entry's accuracy is the mean over its front, a network a limit. The same seed gives every arm the
same order of data, so differences are taken seed by seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from easearch.comparing.arms import ARMS
from easearch.comparing.paired import Entries, Interval, Paired, hypervolume, paired
from easearch.comparing.terms import Terms
from easearch.reporting.digits import signed_text

FEWEST = 5
"""Seeds from which on something may be claimed: two that agree are a toss of a coin."""
Claim = Literal["reference", "ahead", "behind", "open", "limit missed", "few seeds"]


@dataclass(frozen=True, kw_only=True)
class AtLimit:
    """One arm at one limit of the front."""

    accuracy: Paired
    costs: Mapping[str, float]
    """Mean over the seeds, by meter: measured on the file where that can be done."""
    met: int
    """At how many seeds the limit was kept."""
    macs: float
    params: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm over all of its seeds. Accuracies are fractions."""

    arm: str
    about: str
    seeds: tuple[int, ...]
    accuracy: Paired
    """On test, the mean over the front."""
    hypervolume: Paired | None
    """Of the front (`hypervolume`); None at one limit, where there is none."""
    front: tuple[AtLimit, ...]
    """Limit by limit, smallest first."""
    claim: Claim
    """What may be said of the arm's accuracy against the reference's: `ahead` where the interval of
    the difference lies above zero, over `FEWEST` seeds or more, and every limit was kept.
    """
    met: int
    """At how many seeds every limit was kept."""
    compute: float
    """Mean of the multiply-adds spent."""
    seconds: float
    """Mean wall-clock of the arm; beside others it takes longer."""


def rows_of(entries: Entries, reference: str, terms: Terms) -> list[Row]:
    """A row an arm, in the order of `ARMS`."""
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(entries, key=lambda one: int(one["seed"])):
        by_arm.setdefault(one["arm"], []).append(one)
    order = list(ARMS)
    names = sorted(by_arm, key=lambda arm: (order.index(arm.partition(":")[0]), arm))
    against = by_arm.get(reference, [])
    return [_row(arm, by_arm[arm], against, terms) for arm in names]


def sentence(row: Row, reference: str) -> str:
    """What may be said, in points and seeds: `grow is ahead of uniform by 0.8 points (0.2 to 1.3),
    paired over 5 seeds`.
    """
    found = row.accuracy
    if row.claim == "reference" or found.difference is None:
        return f"{row.arm} has no seed in common with {reference}"
    points, count = _points(found.difference), len(found.differences)
    if found.difference_interval is None:
        return f"{row.arm} against {reference}: {points} points at one seed, which claims nothing"
    low, high = (_points(end) for end in found.difference_interval)
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
    arm: str,
    entries: Entries,
    reference: Entries,
    terms: Terms,
) -> Row:
    own = entries is reference
    accuracy = paired(entries, reference, _accuracy)
    met = sum(bool(one["meets"]) for one in entries)
    return Row(
        arm=arm,
        about=ARMS[arm.partition(":")[0]].about,
        seeds=tuple(int(one["seed"]) for one in entries),
        accuracy=accuracy,
        hypervolume=_volumes(entries, reference, terms),
        front=tuple(_at_limit(entries, reference, k) for k in range(len(terms.points))),
        claim=_claim(
            own, accuracy.difference_interval, len(accuracy.differences), met == len(entries)
        ),
        met=met,
        compute=_mean(one["compute"]["total"] for one in entries),
        seconds=_mean(one["seconds"]["arm"] for one in entries),
    )


def _at_limit(entries: Entries, reference: Entries, number: int) -> AtLimit:
    there = [one["front"][number] for one in entries]
    return AtLimit(
        accuracy=paired(entries, reference, lambda one: _accuracy_of(one["front"][number])),
        costs=_costs(there),
        met=sum(bool(one["meets"]) for one in there),
        macs=_mean(one["macs"] for one in there),
        params=_mean(one["params"] for one in there),
    )


def _volumes(entries: Entries, reference: Entries, terms: Terms) -> Paired | None:
    meter = meter_of(terms)
    if meter is None:
        return None
    low, high = (terms.points[k].limits[meter] for k in (0, -1))

    def volume(entry: Mapping[str, Any]) -> float:
        kept = [one for one in entry["front"] if one["meets"]]
        points = [(_cost(one, meter), _accuracy_of(one)) for one in kept]
        return hypervolume(points, low, high, 1 / terms.classes)

    return paired(entries, reference, volume)


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
    return _mean(_accuracy_of(one) for one in entry["front"])


def _accuracy_of(part: Mapping[str, Any]) -> float:
    return float(part["test"]["accuracy"])


def _cost(part: Mapping[str, Any], meter: str) -> float:
    """Of one network: measured on its file where that was done."""
    (proof,) = (one for one in part["limits"] if one["meter"] == meter)
    return float(proof["predicted"] if proof["measured"] is None else proof["measured"])


def _costs(parts: Entries) -> dict[str, float]:
    meters = [proof["meter"] for proof in parts[0]["limits"]]
    return {meter: _mean(_cost(one, meter) for one in parts) for meter in meters}


def _points(difference: float) -> str:
    return signed_text(f"{100 * difference:+.1f}")


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def meter_of(terms: Terms) -> str | None:
    """The meter over which fronts are drawn: the first whose limits differ; None at one limit."""
    first, last = terms.points[0].limits, terms.points[-1].limits
    return next((meter for meter in first if first[meter] < last[meter]), None)

"""The judge: pairs by seed, intervals that cover, and claims that need seeds and kept limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_terms import terms
from scipy import stats

from easearch.comparing.judge import FEWEST, rows_of, sentence
from easearch.comparing.paired import hypervolume, t_interval

ONE = terms({"macs": 100.0})
FRONT = terms(
    {"params": 7.0, "macs": 2.0}, {"params": 7.0, "macs": 4.0}, {"params": 7.0, "macs": 6.0}
)
"""The first meter whose limits differ counts."""


def entry(arm: str, seed: int, accuracy: float, meets: bool = True) -> dict[str, Any]:
    proof = {"meter": "macs", "measured": None if seed % 2 else 90.0, "predicted": 110.0}
    return {
        "arm": arm,
        "seed": seed,
        "meets": meets,
        "front": [part(accuracy, meets, proof)],
        "compute": {"total": 100.0 + seed},
        "seconds": {"arm": 2.0},
    }


def part(accuracy: float, meets: bool, *proofs: dict[str, Any]) -> dict[str, Any]:
    test = {"accuracy": accuracy}
    return {"test": test, "meets": meets, "limits": proofs, "macs": 10, "params": 5}


def both(differences: list[float], **how: Any) -> list[dict[str, Any]]:
    """An arm so far from the reference, whose own accuracies differ far more than that."""
    found = []
    for seed, difference in enumerate(differences):
        own = 0.5 + 0.1 * seed % 0.3
        found += [entry("uniform", seed, own), entry("grow", seed, own + difference, **how)]
    return found


@pytest.mark.parametrize(
    ("differences", "claim"),
    [
        ([0.01, 0.012, 0.008, 0.011, 0.02], "ahead"),
        ([-0.01, -0.012, -0.008, -0.011, -0.02], "behind"),
        ([0.01, -0.012, 0.008, -0.011, 0.02], "open"),
        ([0.01, 0.012, 0.008, 0.011], "few seeds"),
        ([0.01], "few seeds"),
    ],
)
def test_claims_rest_on_paired_seeds(differences: list[float], claim: str) -> None:
    """Unpaired, the accuracies would hide every difference here."""
    grow, uniform = rows_of(both(differences), "uniform", ONE)
    assert (grow.arm, uniform.claim, grow.claim) == ("grow", "reference", claim)
    assert grow.accuracy.difference == pytest.approx(np.mean(differences))
    assert grow.accuracy.differences == pytest.approx(differences)
    assert len(differences) >= FEWEST or grow.claim == "few seeds"
    text = sentence(grow, "uniform")
    assert "grow" in text and "uniform" in text
    for word in ("ahead", "behind", "nothing is decided"):
        assert (word in text) == (word in claim or (claim == "open" and word.startswith("noth")))


def test_who_missed_a_limit_claims_nothing() -> None:
    ahead = both([0.01, 0.012, 0.008, 0.011, 0.02], meets=False)
    grow, _ = rows_of(ahead, "uniform", ONE)
    assert grow.claim == "limit missed" and grow.met == 0
    behind, _ = rows_of(both([-0.01, -0.012, -0.008, -0.011, -0.02], meets=False), "uniform", ONE)
    assert behind.claim == "behind"


def test_seeds_that_one_arm_has_are_left_out_of_pairs() -> None:
    found = [*both([0.01, 0.02]), entry("grow", 7, 0.9), entry("seed", 9, 0.4)]
    grow, _, seed = rows_of(found, "uniform", ONE)
    assert grow.seeds == (0, 1, 7) and grow.accuracy.differences == pytest.approx((0.01, 0.02))
    assert seed.accuracy.difference is None and "no seed in common" in sentence(seed, "uniform")
    assert grow.front[0].costs["macs"] == pytest.approx((90 + 110 + 110) / 3)


def test_the_interval_is_students() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 5)
    low, high = t_interval(values.tolist()) or (0.0, 0.0)
    other = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (low, high) == pytest.approx(tuple(other), rel=1e-9)
    assert t_interval([1.0]) is None
    assert t_interval([1.0, 1.0]) == (1.0, 1.0)


def test_intervals_of_five_seeds_cover_as_often_as_they_say() -> None:
    draws = np.random.default_rng(11)
    held = 0
    for _ in range(2000):
        low, high = t_interval(draws.normal(0, 1, 5).tolist()) or (0.0, 0.0)
        held += low <= 0 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


# --- fronts


def front(arm: str, seed: int, *networks: tuple[float, float, bool]) -> dict[str, Any]:
    """An entry of so many networks: (cost, accuracy, whether it keeps its limit)."""
    parts = []
    for cost, accuracy, meets in networks:
        own = {"meter": "macs", "measured": cost, "predicted": 0.0}
        parts.append(part(accuracy, meets, own, {**own, "meter": "params", "measured": 5.0}))
    whole = {"meets": all(meets for _, _, meets in networks), "front": parts}
    return {**entry(arm, seed, 0.0), **whole}


def test_a_front_is_judged_by_its_mean_limit_by_limit_and_by_its_area() -> None:
    """Worked by hand: guessing is 0.25, and 0.75 * 4 the area of a perfect front."""
    found = []
    for seed in range(5):
        own = 0.01 * seed
        found.append(front("uniform", seed, (2, 0.55 + own, True), (4, 0.65, True), (6, 0.9, True)))
        found.append(front("grow", seed, (1, 0.65 + own, True), (3, 0.7, True), (5, 0.8, True)))
    grow, uniform = rows_of(found, "uniform", FRONT)
    assert grow.accuracy.differences == pytest.approx([(0.1 + 0.05 - 0.1) / 3] * 5)
    assert grow.claim == "ahead" and grow.accuracy.difference_interval is not None
    assert [one.accuracy.difference for one in grow.front] == pytest.approx([0.1, 0.05, -0.1])
    assert grow.front[0].accuracy.values == pytest.approx([0.65 + 0.01 * s for s in range(5)])
    assert uniform.front[0].accuracy.differences == ()
    assert [one.costs["macs"] for one in grow.front] == [1, 3, 5]
    assert grow.hypervolume is not None and uniform.hypervolume is not None
    assert uniform.hypervolume.values[0] == pytest.approx((0.30 * 2 + 0.40 * 2) / 3)
    assert grow.hypervolume.values[0] == pytest.approx((0.40 + 0.45 * 2 + 0.55) / 3)
    between = grow.hypervolume.difference_interval
    assert between is not None and 0 < between[0] <= between[1]
    assert grow.hypervolume.differences[0] == pytest.approx(0.45 / 3)


def test_who_misses_one_limit_of_a_front_claims_nothing_and_loses_its_area() -> None:
    found = []
    for seed in range(5):
        found.append(front("uniform", seed, (2, 0.5, True), (4, 0.6, True), (6, 0.7, True)))
        found.append(front("grow", seed, (2, 0.9, True), (4.5, 0.95, seed > 0), (6, 0.96, True)))
    grow, uniform = rows_of(found, "uniform", FRONT)
    assert grow.claim == "limit missed" and grow.met == 4
    assert [one.met for one in grow.front] == [5, 4, 5]
    assert grow.hypervolume is not None
    assert grow.hypervolume.values[0] == pytest.approx(0.65 * 4 / 3)
    assert grow.hypervolume.values[1] == pytest.approx((0.65 * 2.5 + 0.70 * 1.5) / 3)
    assert uniform.claim == "reference"


def test_one_limit_has_no_area() -> None:
    grow, _ = rows_of(both([0.01, 0.02]), "uniform", ONE)
    assert grow.hypervolume is None and len(grow.front) == 1
    assert grow.front[0].accuracy == grow.accuracy


def test_the_area_knows_its_ends() -> None:
    """A perfect classifier of no cost has 1, guessing 0; order does not matter, better is more."""
    chance = 0.1
    assert hypervolume([(0.0, 1.0)], 2, 6, chance) == pytest.approx(1)
    assert hypervolume([], 2, 6, chance) == 0
    assert hypervolume([(3.0, 0.05)], 2, 6, chance) == 0
    draws = np.random.default_rng(5)
    for _ in range(50):
        points = [(float(c), float(a)) for c, a in draws.uniform([1, 0], [7, 1], (4, 2))]
        whole = hypervolume(points, 2, 6, chance)
        budgets = np.linspace(2, 6, 20_001)
        best = [max([a for c, a in points if c <= x], default=chance) for x in budgets]
        mean = np.mean(np.maximum(best, chance) - chance) / (1 - chance)
        assert whole == pytest.approx(mean, abs=1e-3)
        assert hypervolume(points[::-1], 2, 6, chance) == pytest.approx(whole)
        assert hypervolume([(max(points[0][0] - 0.5, 0), 1.0), *points], 2, 6, chance) >= whole

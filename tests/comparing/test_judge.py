"""The judge: pairs by seed, intervals that cover, and claims that need seeds and kept limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from easearch.comparing.judge import FEWEST, bootstrap, rows_of, sentence


def entry(arm: str, seed: int, accuracy: float, meets: bool = True) -> dict[str, Any]:
    proof = {"meter": "macs", "measured": None if seed % 2 else 90.0, "predicted": 110.0}
    return {
        "arm": arm,
        "seed": seed,
        "test": {"accuracy": accuracy},
        "meets": meets,
        "limits": [proof],
        "compute": {"total": 100.0 + seed},
        "seconds": {"arm": 2.0},
        "macs": 10,
        "params": 5,
    }


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
    grow, uniform = rows_of(both(differences), "uniform")
    assert (grow.arm, uniform.claim, grow.claim) == ("grow", "reference", claim)
    assert grow.difference == pytest.approx(np.mean(differences))
    assert grow.differences == pytest.approx(differences)
    assert len(differences) >= FEWEST or grow.claim == "few seeds"
    text = sentence(grow, "uniform")
    assert "grow" in text and "uniform" in text
    for word in ("ahead", "behind", "nothing is decided"):
        assert (word in text) == (word in claim or (claim == "open" and word.startswith("noth")))


def test_who_missed_a_limit_claims_nothing() -> None:
    ahead = both([0.01, 0.012, 0.008, 0.011, 0.02], meets=False)
    grow, _ = rows_of(ahead, "uniform")
    assert grow.claim == "limit missed" and grow.met == 0
    behind, _ = rows_of(both([-0.01, -0.012, -0.008, -0.011, -0.02], meets=False), "uniform")
    assert behind.claim == "behind"


def test_seeds_that_one_arm_has_are_left_out_of_pairs() -> None:
    found = [*both([0.01, 0.02]), entry("grow", 7, 0.9), entry("seed", 9, 0.4)]
    grow, _, seed = rows_of(found, "uniform")
    assert grow.seeds == (0, 1, 7) and grow.differences == pytest.approx((0.01, 0.02))
    assert seed.difference is None and "no seed in common" in sentence(seed, "uniform")
    assert grow.costs["macs"] == pytest.approx((90 + 110 + 110) / 3)


def test_the_interval_is_the_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 30)
    low, high = bootstrap(values.tolist()) or (0.0, 0.0)
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(other), abs=0.03)
    assert bootstrap(values.tolist()) == (low, high)
    assert bootstrap([1.0]) is None
    assert bootstrap([1.0, 1.0]) == (1.0, 1.0)


def test_intervals_cover_about_as_often_as_they_say() -> None:
    draws = np.random.default_rng(11)
    held = 0
    for _ in range(150):
        low, high = bootstrap(draws.normal(0, 1, 25).tolist()) or (0.0, 0.0)
        held += low <= 0 <= high
    assert 0.86 <= held / 150 <= 1.0

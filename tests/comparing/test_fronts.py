"""Comparisons of fronts: a network a limit, one compute for all, each certified by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_contest import pictures, tiny

import easearch as ea
from easearch.comparing import ARMS, Arm, Comparison, Delivered, Setting, compare, foresee
from easearch.comparing.apart import apart
from easearch.comparing.arms import uniform
from easearch.comparing.files import Entry
from easearch.comparing.point import Point
from easearch.comparing.terms import known

APART = ("uniform", "uniform:equal", "found")
LIMITS = {"macs": ["1.6x", "3x"], "params": "6x"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures"))


def recipe(root: Path) -> ea.Recipe:
    return tiny(root, budget={"limits": LIMITS})


@pytest.fixture(scope="module")
def found(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(recipe(root), APART, 1, out=tmp_path_factory.mktemp("fronts"))


def at(found: Comparison, arm: str) -> dict[str, Any]:
    (one,) = (e for e in found.entries if e["arm"] == arm)
    return dict(one)


def test_the_terms_have_a_point_a_limit(found: Comparison) -> None:
    terms = found.terms
    macs = [point.limits["macs"] for point in terms.points]
    assert macs == sorted(macs) and len(macs) == 2
    assert {point.limits["params"] for point in terms.points} == {terms.largest.limits["params"]}
    assert all(0.5 < point.share <= 1 for point in terms.points)
    assert terms.compute == 3 * terms.largest.macs * 128 * 16
    assert known(found.path) == terms
    assert [Point.from_json(p.to_json()) for p in terms.points] == terms.points
    assert terms.classes == 4


@pytest.mark.parametrize("arm", APART)
def test_every_front_costs_the_compute_and_keeps_every_limit(found: Comparison, arm: str) -> None:
    entry = at(found, arm)
    parts = entry["front"]
    assert len(parts) == 2 and entry["meets"]
    steps = sum(3 * part["macs"] * 16 for part in parts)
    assert abs(entry["compute"]["total"] - found.terms.compute) <= steps
    assert entry["compute"]["total"] == pytest.approx(sum(p["compute"]["total"] for p in parts))
    folder = Entry(arm=arm, seed=0).folder(found.path)
    for number, (part, point) in enumerate(zip(parts, found.terms.points, strict=True), 1):
        assert {p["meter"]: p["limit"] for p in part["limits"]} == point.limits
        assert part["meets"] and all(p["measured"] <= p["limit"] for p in part["limits"])
        own = folder / f"limit-{number}"
        assert json.loads((own / "certificate.json").read_text())["meets"]
        assert (own / "model.onnx").exists()
        assert ea.trace(ea.load(own), torch.zeros(1, 1, 12, 12)).widths == part["widths"]
    mean = sum(part["test"]["accuracy"] for part in parts) / 2
    assert entry["test"]["accuracy"] == pytest.approx(mean)
    assert not (folder / "model.onnx").exists()


def test_shares_go_with_multiply_adds_or_are_equal(found: Comparison) -> None:
    whole, points = found.terms.compute, found.terms.points
    for arm, weights in (("uniform", [p.macs for p in points]), ("uniform:equal", [1, 1])):
        for part, weight, point in zip(at(found, arm)["front"], weights, points, strict=True):
            assert part["widths"] == dict(point.uniform)
            share = whole * weight / sum(weights)
            assert 0 <= share - part["compute"]["training"] < 3 * part["macs"] * 16


def test_what_needs_another_arm_takes_the_same_limit(found: Comparison) -> None:
    grow, scratch = at(found, "grow")["front"], at(found, "found")["front"]
    assert [one["widths"] for one in scratch] == [one["widths"] for one in grow]
    assert len({one["macs"] for one in scratch}) == 2


def test_a_part_is_what_it_would_be_alone(root: Path, tmp_path: Path) -> None:
    """Generators, the seed, recipe and clock begin anew for every limit."""
    seen: list[tuple[Setting, float, dict[str, torch.Tensor]]] = []

    def run(contest: Setting) -> Delivered:
        model = contest.ready.state.model
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        seen.append((contest, float(torch.rand(1)), weights))
        for parameter in model.parameters():
            parameter.data.zero_()
        return uniform.run(contest)

    before = dict(ARMS)
    ARMS["watched"] = Arm(run=run, about="watched")
    try:
        found = compare(recipe(root), ["watched"], 1, out=tmp_path)
    finally:
        ARMS.clear()
        ARMS.update(before)
    assert len(seen) == 2 and not found.failures
    assert len({drawn for _, drawn, _ in seen}) == 1
    for number, (contest, _, weights) in enumerate(seen):
        first = seen[0][2]
        assert all((weights[name] == first[name]).all() for name in first)
        ready, point = contest.ready, found.terms.points[number]
        assert contest.points == (point,) and contest.uniform == point.uniform
        assert ready.points == (ready.bounds,) and contest.part == number
        assert {b.meter.name: b.limit for b in ready.bounds} == point.limits
        assert ready.training.compute == contest.compute == contest.recipe.training.compute
        assert ready.growing.stages == (0.5, 1.0) and ready.growing.at == (2.4, 4.8)
        assert len(contest.recipe.budget.points) == 1 and ready.recipe == contest.recipe
    assert sum(c.compute for c, _, _ in seen) == pytest.approx(found.terms.compute)


def test_one_limit_is_a_front_of_one(root: Path, tmp_path: Path) -> None:
    """`apart` at one limit runs as the arm alone does."""
    told: list[list[Delivered]] = []

    def run(contest: Setting) -> Delivered:
        torch.manual_seed(contest.recipe.seed)
        alone = uniform.run(contest)
        told.append([alone, *apart(uniform.run, replace(contest, folder=tmp_path / "other"))])
        return alone

    before = dict(ARMS)
    ARMS["twice"] = Arm(run=run, about="twice")
    try:
        assert not compare(tiny(root), ["twice"], 1, out=tmp_path).failures
    finally:
        ARMS.clear()
        ARMS.update(before)
    ((alone, again),) = told
    assert alone.bill == again.bill
    one, other = alone.model.state_dict(), again.model.state_dict()
    assert all((one[name] == other[name]).all() for name in one)


def test_arms_that_spend_too_little_or_deliver_too_few_are_told(root: Path, tmp_path: Path) -> None:
    def stingy(contest: Setting) -> list[Delivered]:
        return apart(uniform.run, replace(contest, compute=0.97 * contest.compute))

    def few(contest: Setting) -> list[Delivered]:
        return uniform.front(contest)[:1]

    before = dict(ARMS)
    ARMS["stingy"] = Arm(run=uniform.run, about="stingy", front=stingy)
    ARMS["few"] = Arm(run=uniform.run, about="few", front=few)
    try:
        found = compare(recipe(root), ["stingy", "few"], 1, out=tmp_path)
    finally:
        ARMS.clear()
        ARMS.update(before)
    assert "to within one training step a limit" in found.failures["stingy, seed 0"]
    assert "a network for each of 2 limits, got 1" in found.failures["few, seed 0"]


def test_the_table_has_the_mean_and_the_area(found: Comparison) -> None:
    rows = {row.arm: row for row in found.rows}
    for arm, row in rows.items():
        entry = at(found, arm)
        assert row.accuracy.values == (pytest.approx(entry["test"]["accuracy"]),)
        assert row.hypervolume is not None and 0 <= row.hypervolume.mean <= 1
        assert len(row.front) == 2
    document = json.loads((found.path / "results.json").read_text())
    assert len(document["terms"]["points"]) == 2
    assert all("hypervolume" in row and len(row["front"]) == 2 for row in document["rows"])
    page = (found.path / "comparison.html").read_text()
    assert "hypervolume" in page and page.count("Limit 2") >= 1


def test_a_dry_run_of_a_front_writes_nothing(root: Path, tmp_path: Path, found: Comparison) -> None:
    ahead = foresee(recipe(root), ["uniform", "uniform:equal"], 2, out=tmp_path / "out")
    assert [p.limits for p in ahead.terms.points] == [p.limits for p in found.terms.points]
    assert ahead.total_compute == 4 * found.terms.compute and 0 < ahead.seconds[0]
    assert not list(tmp_path.iterdir())

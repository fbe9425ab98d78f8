"""Fronts from one trunk that is cut: slicing and Torch-Pruning at several limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from contests import Watched, check_front, contest, same, weights

import easearch.comparing.making.compute_budget as spending
from easearch.comparing.apart import part
from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.arms.grow import GROW, SHUFFLED
from easearch.comparing.arms.pruned import PRUNED, WEIGHING
from easearch.comparing.arms.sliced import SLICED
from easearch.comparing.making.compute_budget import ComputeBudget, drawn
from easearch.comparing.making.trunk import Branch, copied, front_of, trunk_of
from easearch.front import FrontAssembly
from easearch.growth.compute import Compute
from easearch.growth.front import weighted
from easearch.growth.stream import step_compute

LIMITS = {"budget": {"limits": {"macs": ["1.7x", "2.6x", "3.6x"], "params": "6x"}}}
CASES = (
    ("sliced", None, "macs"),
    ("sliced", None, "equal"),
    ("pruned", "magnitude", "equal"),
    ("pruned", "taylor", "equal"),
)
ARMS = {"sliced": SLICED, "pruned": PRUNED}


@dataclass
class Done:
    name: str
    setting: Setting
    front: list[Delivered]
    watched: Watched


@pytest.fixture(scope="module", params=CASES, ids=lambda case: ":".join(filter(None, case)))
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    name, option, shares = request.param
    if name == "pruned":
        pytest.importorskip("torch_pruning")
    watched = Watched()
    changed = {**LIMITS, "front": {"shares": shares}}
    with contest(tmp_path_factory.mktemp("entry"), option, **changed) as setting:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spending, "train_epoch", watched)
            front = (ARMS[name].front or pytest.fail)(setting)
        yield Done(name=name, setting=setting, front=front, watched=watched)


def test_every_limit_the_grid_and_the_compute_are_kept(done: Done) -> None:
    check_front(done.setting, done.front)
    macs = [Compute.macs_of(one.graph) for one in done.front]
    assert macs == sorted(macs) and len(set(macs)) == 3
    for bounds, one in zip(done.setting.ready.points, done.front, strict=True):
        assert max(b.meter.cost(one.graph).total / b.limit for b in bounds) > 0.6


def test_the_largest_is_the_trunk_uncut(done: Done) -> None:
    widths = [one.graph.widths for one in done.front]
    assert widths[-1] == dict(done.setting.uniform)
    if done.name == "sliced":
        assert widths == [dict(point.uniform) for point in done.setting.points]
    assert done.front[-1].notes == ()


def test_a_trunk_at_a_constant_rate_and_an_anneal_a_limit(done: Done) -> None:
    trunk, *branches = (list(rates.values()) for rates in done.watched.trainings)
    highest, ready = done.setting.ready.training.rate, done.setting.ready
    warm = math.ceil(1.5 / ready.training.epochs * len(trunk) / done.setting.recipe.front.trunk)
    assert trunk[0] < 0.2 * highest and set(trunk[warm:]) == {highest}
    assert len(branches) == 3
    for rates in branches:
        assert all(later < earlier for earlier, later in pairwise(rates))
        assert rates[0] > 0.98 * highest and rates[-1] < 0.02 * highest
    spent = len(trunk) * step_compute(done.setting.points[-1].macs, ready.feed)
    whole, least = done.setting.compute, done.setting.recipe.front.trunk
    assert least * whole - step_compute(done.setting.points[-1].macs, ready.feed) < spent
    assert spent <= least * whole
    if done.setting.recipe.front.shares == "macs":  # all see as many batches
        counts = [len(rates) for rates in branches]
        assert max(counts) - min(counts) <= 2


def test_the_trunk_is_billed_once_with_the_first(done: Done) -> None:
    whole, trunk = done.setting.compute, done.setting.recipe.front.trunk
    rest = [one.spent / whole for one in done.front]
    macs = [point.macs for point in done.setting.points]
    parts = weighted(macs, done.setting.recipe.front.shares)
    wanted = [share * (1 - trunk) for share in parts]
    wanted[0] += trunk
    one = step_compute(done.setting.points[-1].macs, done.setting.ready.feed) / whole
    assert rest == pytest.approx(wanted, abs=2 * one)
    scoring = sum(one.bill.get("scoring", 0.0) for one in done.front)
    if done.setting.option == "taylor":
        assert 0.2 * WEIGHING < scoring / whole <= WEIGHING
    else:
        assert scoring == 0


def test_the_same_seed_gives_the_same_front(done: Done, tmp_path: Path) -> None:
    changed = {**LIMITS, "front": done.setting.recipe.front.model_dump()}
    with contest(tmp_path, done.setting.option, **changed) as again:
        other = (ARMS[done.name].front or pytest.fail)(again)
    for one, same_again in zip(done.front, other, strict=True):
        assert one.bill == same_again.bill
        assert same(weights(one.model), weights(same_again.model))


def test_momentum_and_place_go_on_with_what_is_not_made_anew(done: Done) -> None:
    first, *others = done.watched.momenta
    assert first == 0
    kept = [number > 0 for number in others]
    assert kept == ([True] * 3 if done.name == "sliced" else [False, False, True])


def test_branches_do_not_touch_each_other(tmp_path: Path) -> None:
    """Each gets the trunk as it ended, whatever was done to the others, and the same batches."""
    seen: list[tuple[int, dict[str, Any], int]] = []

    def cut(alone: Setting, course: Any, purse: ComputeBudget) -> Branch:
        seen.append((alone.part, weights(course.model), course.batches))
        for parameter in course.model.parameters():
            parameter.data.add_(0.1)
        return Branch(course=course)

    with contest(tmp_path, **LIMITS) as setting:
        front_of(setting, cut)
    assert [number for number, _, _ in seen] == [0, 1, 2]
    assert len({batches for _, _, batches in seen}) == 1
    assert all(same(seen[0][1], found) for _, found, _ in seen)


def test_a_copy_has_its_momentum(tmp_path: Path) -> None:
    with contest(tmp_path, **LIMITS) as setting:
        trunk = trunk_of(setting, ComputeBudget(whole=setting.compute), setting.uniform, 0.3)
        copy, before = copied(trunk), weights(trunk.model)
        buffers = [state["momentum_buffer"] for state in copy.optimizer.state.values()]
        assert len(buffers) == len(list(copy.model.parameters()))
        for parameter in copy.model.parameters():
            parameter.data.zero_()
        assert same(before, weights(trunk.model)) and copy.batches == trunk.batches > 0
        assert part(setting, 1, 7.0).folder.name == "limit-2"


def test_a_trunk_at_its_largest_is_the_same_whoever_cuts_it(tmp_path: Path) -> None:
    """`grow`, its placebo and `sliced` begin with the same weights; what differs is what they keep
    of the trunk.
    """
    changed = {**LIMITS, "front": {"start": "largest"}}
    fronts = {}
    for name, arm in {"sliced": SLICED, "grow": GROW, "shuffled": SHUFFLED}.items():
        (tmp_path / name).mkdir()
        with contest(tmp_path / name, **changed) as setting:
            fronts[name] = (arm.front or pytest.fail)(setting)
            check_front(setting, fronts[name])
    with contest(tmp_path, **changed) as setting:
        began = weights(drawn(setting.ready, setting.uniform).model)
    with contest(tmp_path, **changed) as setting:
        trunk = FrontAssembly(setting.ready, tmp_path, lambda event: None).grower()
    assert trunk.state.graph.widths == setting.uniform
    assert same(weights(trunk.state.model), began)
    scoring = [sum(one.bill.get("scoring", 0.0) for one in front) for front in fronts.values()]
    assert scoring[0] == 0 < scoring[1] == scoring[2]
    assert same(*(weights(fronts[name][-1].model) for name in ("grow", "shuffled")))
    for one, other in zip(fronts["grow"][:-1], fronts["shuffled"][:-1], strict=True):
        assert not same(weights(one.model), weights(other.model))

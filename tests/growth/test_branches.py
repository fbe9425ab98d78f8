"""A front: the trunk grows from limit to limit at a constant rate, branches share what is left."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, batches, sample

from easearch.budget import find_meter
from easearch.errors import BudgetError
from easearch.growth.channel_pruning import keepable, removals
from easearch.growth.compute import Compute
from easearch.growth.events import Event, Progress
from easearch.growth.front import Worth, branches, finish, spent_since
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.loop import Grower
from easearch.growth.state import State, begin
from easearch.growth.stream import step_compute
from easearch.growth.surgery import resize
from easearch.growth.targets import Target
from easearch.growth.training import Training
from easearch.preflight.uniform import widest_uniform
from easearch.roles import Batches, Bound, Worths
from easearch.scoring import criterion
from easearch.scoring.worth import worth
from easearch.selection import selector

DATA = batches(number=9, size=8)
PASS = 5
TIMES = (1.3, 1.7, 2.4)
RATE = 0.02


WAYS = pytest.mark.parametrize("way", ["branch", "cut", "wide"])
"""Branches of a trunk that grows, cut from its end, and cut from one that begins at its largest."""


class Row:
    """Five batches a pass."""

    samples, steps = 8 * PASS, PASS

    def training(self, epoch: int) -> Batches:
        return DATA[:PASS]

    def scoring(self, epoch: int) -> Batches:
        return DATA[5:6]

    def searching(self, epoch: int) -> Batches:
        return DATA[6:7]

    def validation(self) -> Batches:
        return DATA[7:]


def trunk(
    compute: float | None = 90.0, way: str = "cut"
) -> tuple[Grower, list[tuple[float, float]]]:
    """A trunk over three limits in so many passes of the seed, and (epoch, rate) of each step."""
    torch.manual_seed(3)
    macs, seen = find_meter("macs"), list[tuple[float, float]]()
    graph = begin(NETWORKS["tied"]().double(), sample(), Training(epochs=1, rate=RATE)).graph
    if compute is not None:
        compute *= 3 * Row.samples * Compute.macs_of(graph)
    training = Training(epochs=6, rate=RATE, warmup=0.2, compute=compute)

    def watch(event: Event) -> None:
        if isinstance(event, Progress):
            seen.append((event.epoch, running[-1].state.optimizer.param_groups[0]["lr"]))

    targets = [
        Target(bounds=[Bound(meter=macs, limit=times * macs.cost(graph).total)]) for times in TIMES
    ]
    model, seed = NETWORKS["tied"]().double(), graph
    growing = GrowthSchedule(
        stages=(0.2, 0.5, 1.0), at=(0.3, 0.8, 1.5), line_search=(0.1,), width_step=1
    )
    if way == "wide":
        start = widest_uniform(seed, targets[-1].bounds, 1).widths
        model = resize(model, seed, start)
        growing = GrowthSchedule(stages=(), at=(), width_step=1, start=start)
    found = Grower(
        state=begin(model, sample(), training),
        seed_widths=seed.widths,
        sample=sample(),
        feed=Row(),
        criterion=criterion("random"),
        selector=selector("greedy"),
        targets=targets,
        meters=[macs],
        training=training,
        growing=growing,
        watch=watch,
        verify=lambda graph, bounds: {},
        left=lambda state: None,
    )
    running = [found]
    found.running = running  # type: ignore[attr-defined]
    return found, seen


def by(way: str) -> Worth | None:
    return None if way == "branch" else worth


def worths(grower: Grower) -> Worths:
    return worth(grower.state.model, grower.state.graph, DATA[5:6], F.cross_entropy)


def weights(state: State) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state.model.state_dict().items()}


@WAYS
def test_every_limit_has_its_network_and_all_compute_is_spent(way: str) -> None:
    grower, _ = trunk(way=way)
    grown = branches(grower, 2.7, by(way))
    assert len(grown) == len(TIMES)
    for branch in grown:
        finish(branch)
    macs = [Compute.macs_of(branch.state.graph) for branch in grown]
    assert all(a < b for a, b in pairwise(macs))
    for branch, target in zip(grown, grower.targets, strict=True):
        (bound,) = target.bounds
        assert bound.meter.cost(branch.state.graph).total <= bound.limit
    spent = grower.compute.total + sum(sum(spent_since(branch).values()) for branch in grown)
    step = sum(step_compute(one, Row()) for one in macs)
    assert grower.training.compute is not None
    assert abs(spent - grower.training.compute) <= step / 2 * (1 + 1e-9)


@WAYS
@pytest.mark.parametrize("shares", ["macs", "equal"])
def test_branches_share_what_the_trunk_leaves(way: str, shares: str) -> None:
    """By multiply-adds each sees as many batches, to one; equally each costs as much, to a step."""
    grower, _ = trunk(way=way)
    grown = branches(grower, 2.7, by(way), shares)
    starts = [branch.state.batches for branch in grown]
    for branch in grown:
        finish(branch)
    batches = [branch.state.batches - start for branch, start in zip(grown, starts, strict=True)]
    steps = [step_compute(Compute.macs_of(branch.state.graph), Row()) for branch in grown]
    spent = [sum(spent_since(branch).values()) for branch in grown]
    assert min(batches) > 5
    if shares == "macs":
        assert max(batches) - min(batches) <= 1
    else:
        assert max(spent) - min(spent) <= max(steps)
        assert batches == sorted(batches, reverse=True)


@WAYS
def test_the_trunk_keeps_its_rate_and_each_branch_falls_to_nothing(way: str) -> None:
    grower, seen = trunk(way=way)
    grown = branches(grower, 2.7, by(way))
    assert {rate for epoch, rate in seen if epoch > 0.4} == {RATE}
    for branch in grown:
        seen.clear()
        grower.running.append(branch)  # type: ignore[attr-defined]
        finish(branch)
        rates = [rate for _, rate in seen]
        assert all(a >= b for a, b in pairwise(rates))
        assert rates[0] > 0.9 * RATE and rates[-1] < 0.1 * RATE


@WAYS
def test_a_branch_leaves_the_trunk_and_the_others_as_they_are(way: str) -> None:
    grower, _ = trunk(way=way)
    grown = branches(grower, 2.7, by(way))
    before = [weights(one.state) for one in (grower, *grown[1:])]
    finish(grown[0])
    for one, kept in zip((grower, *grown[1:]), before, strict=True):
        now = weights(one.state)
        assert all(torch.equal(now[name], kept[name]) for name in kept)
    steps = [len(branch.steps) for branch in grown]
    assert steps == {"branch": [1, 2, 3], "cut": [3, 3, 3], "wide": [0, 0, 0]}[way]


@WAYS
def test_the_last_branch_begins_where_the_trunk_ends(way: str) -> None:
    grower, _ = trunk(way=way)
    last = branches(grower, 2.7, by(way))[-1]
    now, kept = weights(grower.state), weights(last.state)
    assert all(torch.equal(now[name], kept[name]) for name in kept)
    assert last.now == pytest.approx(grower.now)
    assert grower.now == pytest.approx(2.7, abs=0.1)


@pytest.mark.parametrize("way", ["cut", "wide"])
def test_a_cut_network_is_a_part_of_the_trunks_end_and_the_best_that_fits(way: str) -> None:
    """Its tensors are the trunk's, of the channels that are worth most in each group; one group
    wider by the step would not fit.
    """
    grower, _ = trunk(way=way)
    grown = branches(grower, 2.7, worth)
    assert all(branch.now == pytest.approx(grower.now) for branch in grown)
    known, end = worths(grower), grower.state.graph
    for branch, target in zip(grown[:-1], grower.targets, strict=False):
        (bound,), widths = target.bounds, branch.state.graph.widths
        own = {round(float(x), 12) for t in weights(grower.state).values() for x in t.flatten()}
        for name, tensor in weights(branch.state).items():
            assert {round(float(x), 12) for x in tensor.flatten()} <= own, name
        assert branch.state.optimizer.state
        for group in end.growable:
            wider = end.with_widths({**widths, group.name: widths[group.name] + 1})
            if widths[group.name] < group.width and known[group.name].min() > 0:
                assert bound.meter.cost(wider).total > bound.limit


def test_what_is_worth_most_is_kept() -> None:
    grower, _ = trunk()
    model, graph = grower.state.model, grower.state.graph
    known = worths(grower)
    least = {group.name: 1 for group in graph.growable}
    narrow, kept = keepable(graph, known, least)
    assert all(narrow.groups[name].width == 1 for name in least)
    assert [one.gain for one in kept] == sorted((one.gain for one in kept), reverse=True)
    for move in removals(model, graph, least, known):
        (best,) = set(range(graph.groups[move.group].width)) - set(move.channels)
        assert known[move.group][best] == known[move.group].max()


@WAYS
def test_a_branch_whose_file_is_too_dear_grows_again_and_spends_its_share(way: str) -> None:
    grower, _ = trunk(way=way)
    branch = branches(grower, 2.7, by(way))[1]
    finish(branch)
    wide, end = branch.state.graph, branch.training.compute or 0.0
    branch.retry(0.9)
    (bound,) = branch.bounds
    assert bound.meter.cost(branch.state.graph).total <= 0.9 * bound.limit
    assert bound.meter.cost(branch.state.graph).total < bound.meter.cost(wide).total
    step = step_compute(Compute.macs_of(wide), Row())
    assert branch.now == pytest.approx(branch.training.epochs, abs=6 * step / end)


def test_a_front_needs_compute_to_share() -> None:
    grower, _ = trunk(None)
    with pytest.raises(BudgetError, match=r"training\.compute"):
        branches(grower, 2.7)

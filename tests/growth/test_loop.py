"""The growth loop on a small real problem: limits, schedule, line search, the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from networks import NETWORKS, batches, mean_loss, sample
from torch import nn

import easearch as ea
from easearch.budget import find_meter
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Epoch, Event, Note, Phase, Progress, Step
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.loop import Grower
from easearch.growth.state import State, begin
from easearch.growth.targets import towards
from easearch.growth.training import Training, evaluate
from easearch.moves import Candidate, Plan
from easearch.roles import Batches, Bound, Ranges
from easearch.scoring import Scores, criterion
from easearch.selection import selector

DATA = batches(number=10, size=8)
TIMES = {"macs": 2.0, "params": 1.7}
AT, STAGES, EPOCHS = (2, 3), (0.5, 1.0), 6
PASSES = 12
"""Over the data by the seed, that an epoch's compute is worth."""
STEP = EPOCHS * 2.0 / (4 * PASSES * EPOCHS)
"""Epochs that a training step takes at most: of a network twice the seed's."""


@dataclass(frozen=True)
class Parts:
    """A feed that is four lists; each epoch trains in an order of its own."""

    samples: int = 32
    steps: int = 4

    def training(self, epoch: int) -> Batches:
        return [DATA[(number + epoch) % 4] for number in range(4)]

    def scoring(self, epoch: int) -> Batches:
        return DATA[4:6]

    def searching(self, epoch: int) -> Batches:
        return DATA[6:8]

    def validation(self) -> Batches:
        return DATA[8:]


@dataclass
class Watched:
    """A selector that remembers what it was asked and what it chose."""

    plans: list[Plan] = field(default_factory=list)
    asked: list[dict[str, float]] = field(default_factory=list)

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        self.asked.append({bound.meter.name: bound.limit for bound in bounds})
        self.plans.append(selector("exact").select(candidates, graph, bounds, step, ranges))
        return self.plans[-1]


@dataclass
class Verdict:
    """A verification that says what it is told to, and remembers the widths it was shown."""

    says: tuple[float, ...] = ()
    seen: list[dict[str, int]] = field(default_factory=list)

    def __call__(self, graph: Graph, bounds: Sequence[Bound]) -> Mapping[str, float]:
        self.seen.append(graph.widths)
        left = self.says[len(self.seen) - 1 :]
        return {"macs": left[0] if left else 0.99, "params": 0.5}


@dataclass
class Told:
    """What one run told: the grower, its events, and the states in which stages were left."""

    how: str
    name: str
    grower: Grower
    chosen: Watched
    verdict: Verdict
    events: list[Event]
    left: list[tuple[int, dict[str, int]]]
    rates: list[float]
    seed: Graph

    @property
    def case(self) -> dict[str, Any]:
        """What makes the same run again."""
        return {"how": self.how, "name": self.name}


def told(how: str = "unit", name: str = "tied", verdict: Verdict | None = None) -> Told:
    torch.manual_seed(4)
    model = NETWORKS[name]().double()
    compute = 3.0 * PASSES * EPOCHS * Parts().samples * Compute.macs_of(ea.trace(model, sample()))
    training = Training(epochs=EPOCHS, compute=compute, rate=0.02, label_smoothing=0.1, warmup=1.0)
    state = begin(model, sample(), training)
    seed = state.graph
    meters = [find_meter(meter) for meter in TIMES]
    bounds = [Bound(meter=m, limit=TIMES[m.name] * m.cost(seed).total) for m in meters]
    chosen, events, left = Watched(), list[Event](), list[tuple[int, dict[str, int]]]()
    verdict, rates = verdict or Verdict(), list[float]()

    def watch(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress):
            rates.append(grower.state.optimizer.param_groups[0]["lr"])

    grower = Grower(
        state=state,
        sample=sample(),
        feed=Parts(),
        criterion=criterion(how),
        selector=chosen,
        targets=towards(bounds, STAGES),
        meters=[*meters, find_meter("memory")],
        training=training,
        growing=GrowthSchedule(stages=STAGES, at=AT, line_search=(2.0, 1.0, 0.5), width_step=2),
        watch=watch,
        verify=verdict,
        left=lambda state: left.append((state.stage, state.graph.widths)),
    )
    return Told(how, name, grower, chosen, verdict, events, left, rates, seed)


def run(**how: Any) -> Told:
    found = told(**how)
    found.grower.run()
    return found


def content(state: State) -> dict[str, torch.Tensor]:
    """Every number of a state: weights, statistics, momentum."""
    names = {id(p): name for name, p in state.model.named_parameters()}
    assert {id(p) for g in state.optimizer.param_groups for p in g["params"]} == set(names)
    numbers = {name: value.clone() for name, value in state.model.state_dict().items()}
    for parameter, kept in state.optimizer.state.items():
        numbers[f"{names[id(parameter)]} momentum"] = kept["momentum_buffer"].clone()
    return numbers


def same(one: State, other: State | dict[str, torch.Tensor]) -> bool:
    a, b = content(one), other if isinstance(other, dict) else content(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def moments(run: Told) -> list[float]:
    """The epochs that had passed after every training step."""
    return [event.epoch for event in run.events if isinstance(event, Progress)]


CASES = [("unit", "tied"), ("unit", "plain"), ("random", "mobilenet_v2")]


@pytest.fixture(scope="module", params=CASES, ids=" on ".join)
def done(request: pytest.FixtureRequest) -> Told:
    torch.set_num_threads(1)
    how, name = request.param
    return run(how=how, name=name)


def test_costs_stay_within_each_stages_limit(done: Told) -> None:
    grower = done.grower
    assert [step.round for step in grower.steps] == [1, 2]
    for step, fraction in zip(grower.steps, STAGES, strict=True):
        for bound in grower.bounds:
            name = bound.meter.name
            seed = bound.meter.cost(done.seed).total
            limit = seed + fraction * (bound.limit - seed)
            assert step.limits[name] == pytest.approx(limit, rel=1e-12)
            assert step.costs_after[name] <= limit
            after = done.seed.with_widths(step.widths_after)
            assert step.costs_after[name] == bound.meter.cost(after).total
    assert list(done.chosen.asked) == [dict(s.limits) for s in grower.steps]


def test_widths_grow_from_round_to_round(done: Told) -> None:
    first, last = done.grower.steps
    assert first.widths_before == done.seed.widths
    assert last.widths_before == first.widths_after
    for step in (first, last):
        assert step.moves > 0
        assert sum(step.widths_after.values()) > sum(step.widths_before.values())
        for name, width in step.widths_after.items():
            before = step.widths_before[name]
            assert width == before or (width > before and width % 2 == 0)
    state = done.grower.state
    assert last.widths_after == state.graph.widths
    assert ea.trace(state.model, sample()) == state.graph
    content(state)


def test_the_rate_stays_until_the_last_growth_and_then_falls(done: Told) -> None:
    # what the optimizer had, batch by batch, and when the batch was done
    told = list(zip(moments(done), done.rates, strict=True))
    assert done.rates[0] < 0.02
    assert {rate for at, rate in told if 1 + STEP < at <= AT[-1]} == {0.02}
    after = [rate for at, rate in told if at > AT[-1] + STEP]
    assert all(a > b for a, b in pairwise([0.02, *after]))
    assert after[-1] < 0.02 / 10
    for row in done.grower.history:
        assert row.rate == [rate for at, rate in told if at < row.epoch + STEP / 9][-1]


def test_the_history_agrees_with_the_steps(done: Told) -> None:
    grower = done.grower
    assert [step.epoch for step in grower.steps] == pytest.approx(AT, abs=STEP)
    assert done.left == [(n, dict(step.widths_before)) for n, step in enumerate(grower.steps)]
    for row in grower.history:
        stage = sum(row.epoch > step.epoch for step in grower.steps)
        widths = [done.seed.widths, *(step.widths_after for step in grower.steps)][stage]
        assert row.stage == stage
        assert row.limits == {b.meter.name: b.limit for b in grower.bounds}
        for meter in grower.meters:
            assert row.costs[meter.name] == meter.cost(done.seed.with_widths(widths)).total
    assert all(a.compute < b.compute for a, b in pairwise(grower.history))
    assert all(a.seconds < b.seconds for a, b in pairwise(grower.history))
    seen = evaluate(grower.state.model, Parts().validation())
    assert grower.history[-1].validation_loss == pytest.approx(seen.loss, rel=1e-12)
    sizes = [done.seed.widths, *(step.widths_after for step in grower.steps)]
    macs = [float(Compute.macs_of(done.seed.with_widths(widths))) for widths in sizes]
    trained = sum(3 * 8 * macs[event.stage] for event in done.events if isinstance(event, Progress))
    assert grower.compute.training == pytest.approx(trained, rel=1e-12)
    assert grower.history[-1].compute == grower.compute.total


def test_the_line_search_takes_the_best_step(done: Told) -> None:
    for step in done.grower.steps:
        tried = dict(step.line_search)
        assert sorted(tried) == [0.0, 0.5, 1.0, 2.0]
        assert tried[0.0] == step.loss_before
        lowest = min([0.5, 1.0, 2.0], key=tried.__getitem__)
        # Silent growth, 0, where every factor raises the loss by a hundredth.
        assert step.factor == (lowest if tried[lowest] < 1.01 * tried[0.0] else 0.0)
        assert step.kept == step.loss_before - tried[step.factor]


def test_what_the_line_search_says_is_the_loss(done: Told) -> None:
    """The last round over again, from the state before it and the plan that was chosen."""
    state, plan, step = done.grower.before[-1], done.chosen.plans[-1], done.grower.steps[-1]
    data = list(Parts().searching(0))
    assert step.loss_before == pytest.approx(mean_loss(state.model, data), rel=1e-12)
    assert step.promised == plan.gain
    assert step.moves == len(plan.moves)
    for factor, loss in step.line_search:
        wider = ea.apply(state.model, state.graph, [move.scaled(factor) for move in plan.moves])
        assert loss == pytest.approx(mean_loss(wider, data), rel=1e-9)


def test_the_watcher_hears_everything_once(done: Told) -> None:
    grower, events = done.grower, done.events
    assert [e for e in events if isinstance(e, Step)] == grower.steps
    assert [e for e in events if isinstance(e, Epoch)] == grower.history
    notes = [e.text for e in events if isinstance(e, Note)]
    assert all("unseen ones show" in note for note in notes)
    doubted = [s for s in grower.steps if s.held_out is not None and s.held_out < 0.5]
    assert len(notes) == len(doubted)
    phases = [e.name for e in events if isinstance(e, Phase)]
    assert phases == [*["train", "score", "select", "grow"] * 2, "train"]
    assert all(a < b for a, b in pairwise(moments(done)))
    assert moments(done)[-1] == pytest.approx(EPOCHS, abs=STEP)


def test_only_the_last_plan_is_verified(done: Told) -> None:
    assert done.verdict.seen == [dict(done.grower.steps[-1].widths_after)]


def test_the_same_seed_gives_the_same_network(done: Told) -> None:
    one, other = done.grower, run(**done.case).grower
    assert one.state.graph == other.state.graph
    assert same(one.state, other.state)
    for a, b in zip(one.history, other.history, strict=True):
        assert (a.loss, a.validation_loss, a.compute) == (b.loss, b.validation_loss, b.compute)


@pytest.mark.parametrize("how", ["unit", "random"])
def test_a_retry_comes_back_to_the_state_before_the_last_growth(how: str) -> None:
    """With the same limits it ends, to the bit, where the run ended; the point itself stays."""
    found = run(how=how, name="plain")
    grower = found.grower
    start, end = content(grower.before[-1]), content(grower.state)
    history, steps = list(grower.history), list(grower.steps)
    grower.retry(1.0)
    assert same(grower.state, end)
    assert same(grower.before[-1], start)
    assert len(grower.steps) == len(steps)
    assert [row.epoch for row in grower.history] == [row.epoch for row in history]
    assert [r.validation_loss for r in grower.history] == [r.validation_loss for r in history]
    assert grower.history[-1].compute > history[-1].compute
    assert [(s.line_search, s.epoch) for s in grower.steps] == [
        (s.line_search, s.epoch) for s in steps
    ]


def test_a_retry_with_tighter_limits_ends_smaller() -> None:
    """From the same state, which is still within them."""
    found = run(name="plain")
    grower = found.grower
    first = grower.steps[-1]
    grower.retry(0.85)
    again = grower.steps[-1]
    assert [step.round for step in grower.steps] == [1, 2]
    assert again.widths_before == first.widths_before
    assert again.loss_before == first.loss_before
    for bound in grower.bounds:
        name = bound.meter.name
        assert again.costs_after[name] <= 0.85 * bound.limit
    assert again.costs_after["macs"] < first.costs_after["macs"]
    assert sum(again.widths_after.values()) < sum(first.widths_after.values())
    assert all(a.epoch < b.epoch for a, b in pairwise(grower.history))
    assert grower.now == pytest.approx(EPOCHS, abs=STEP)
    assert grower.history[-1].costs == again.costs_after


def test_a_retry_goes_back_as_far_as_the_limits_ask() -> None:
    """Where the first growth alone is too dear, both are given up, and one takes their place."""
    found = run(name="plain")
    grower, seed = found.grower, found.seed
    (bound,) = [b for b in grower.bounds if b.meter.name == "params"]
    before = bound.meter.cost(grower.before[1].graph).total
    tighter = 0.98 * before / bound.limit
    start = content(grower.before[0])
    grower.retry(tighter)
    assert same(grower.before[0], start)
    (step,) = grower.steps
    assert (step.round, step.widths_before) == (1, seed.widths)
    assert step.epoch == pytest.approx(AT[0], abs=STEP)
    assert step.costs_after["params"] <= tighter * bound.limit < before
    assert step.moves > 0
    assert all(a.epoch < b.epoch for a, b in pairwise(grower.history))
    assert [row.stage for row in grower.history] == [
        int(row.epoch > step.epoch) for row in grower.history
    ]
    assert grower.now == pytest.approx(EPOCHS, abs=STEP)


def test_limits_below_the_seed_leave_the_network() -> None:
    """Nothing fits; the run goes on all the same, and the exported file tells the truth."""
    found = run(name="plain")
    found.grower.retry(0.1)
    (last,) = found.grower.steps
    assert last.moves == 0
    assert last.factor == 0.0
    assert last.kept == 0.0
    assert last.widths_after == last.widths_before == found.seed.widths
    assert found.grower.now == pytest.approx(EPOCHS, abs=STEP)


def test_a_plan_that_measures_too_dear_is_chosen_again_smaller() -> None:
    plain, found = run(), run(verdict=Verdict(says=(1.1,)))
    notes = [e.text for e in found.events if isinstance(e, Note)]
    assert [n for n in notes if "over the limit" in n] == [n for n in notes if "10.0 % over" in n]
    assert len([n for n in notes if "over the limit" in n]) == 1
    refused, taken = found.verdict.seen
    assert refused == plain.grower.steps[-1].widths_after
    assert taken == found.grower.steps[-1].widths_after
    asked = found.chosen.asked
    cost = found.grower.bounds[0].meter.cost(found.seed.with_widths(refused)).total
    assert asked[-1]["macs"] == pytest.approx(cost / (1.1 * 1.005))
    assert asked[-1]["params"] == asked[-2]["params"]
    costs = [r.grower.steps[-1].costs_after["macs"] for r in (plain, found)]
    assert costs[1] <= asked[-1]["macs"] < costs[0]
    assert same(found.grower.before[-1], plain.grower.before[-1])


def test_verification_gives_up_and_says_so_each_time() -> None:
    found = run(name="plain", verdict=Verdict(says=(1.1,) * 9))
    notes = [e for e in found.events if isinstance(e, Note) and "over the limit" in e.text]
    assert 2 < len(notes) == len(found.verdict.seen) <= 6
    macs = found.grower.bounds[0].meter
    totals = [macs.cost(found.seed.with_widths(widths)).total for widths in found.verdict.seen]
    assert all(a > b for a, b in pairwise(totals))  # one that was measured is not measured again
    assert found.grower.steps[-1].widths_after == found.verdict.seen[-1]


@dataclass(frozen=True)
class Deepener:
    """Splits of channels, and a new layer wherever one can stand, dearer the later it is said."""

    hidden: tuple[int, ...] = (512, 4, 3)

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Any) -> Scores:
        found = criterion("unit").score(model, graph, batches, loss)
        places = [layer for layer in graph.layers if layer.kind == "activation"][:2]
        out = torch.Generator().manual_seed(1)
        layers = []
        for number, layer in enumerate(places):
            channels = graph.channels(layer.writes)
            for rank, hidden in enumerate(self.hidden):
                weight = torch.randn(channels, hidden, 1, 1, generator=out, dtype=torch.float64)
                move = ea.NewLayer(
                    behind=layer.name,
                    hidden=hidden,
                    kernel=1,
                    out={"weight": 1e-3 * weight},
                    seed=rank,
                )
                layers.append(Candidate(move=move, gain=1.0 - 0.1 * rank - 0.01 * number))
        return Scores(found, images=found.images, layers=layers)  # type: ignore[attr-defined]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_new_layers_come_in_within_the_limits(most: int) -> None:
    """The dearest is passed over, widths and layers together keep every limit, and what is said of
    the step is what was measured; a retry ends, to the bit, where the run did.
    """
    found = told(name="mobilenet_v1")
    grower = found.grower
    grower.criterion, grower.growing = Deepener(), replace(grower.growing, layers=most)
    grower.run()
    for step in grower.steps:
        assert len(step.layers) == min(most, len(set(step.layers)))
        assert all(step.costs_after[n] <= limit for n, limit in step.limits.items())
        assert step.kept == step.loss_before - dict(step.line_search)[step.factor]
    if most:
        first = grower.steps[0]
        assert first.layers
        assert first.promised > 0.8 * len(first.layers)
        born = [g for g in grower.state.graph.channel_groups if g.name.endswith(".then.into")]
        assert len(born) == sum(len(step.layers) for step in grower.steps)
        assert all(group.width < 512 for group in born)
        assert first.widths_before.keys() < first.widths_after.keys()
    assert grower.state.graph == ea.trace(grower.state.model, sample())
    end = content(grower.state)
    grower.retry(1.0)
    assert same(grower.state, end)


def test_a_layer_that_measures_too_dear_is_given_up() -> None:
    """With it no choice of widths holds when measured; without, the first does."""
    found = told(name="mobilenet_v1")
    grower = found.grower
    grower.criterion, grower.growing = Deepener(), replace(grower.growing, layers=1)
    deep: list[bool] = []

    def verify(graph: Graph, bounds: Sequence[Bound]) -> Mapping[str, float]:
        # Those of the first growth stay; what the last adds makes it too dear.
        more = len(graph.channel_groups) > len(grower.before[-1].graph.channel_groups)
        deep.append(more)
        return {"macs": 1.3 if more else 0.99}

    grower.verify = verify
    grower.run()
    assert deep[0] and not deep[-1] and deep == sorted(deep, reverse=True)
    assert grower.steps[0].layers and not grower.steps[-1].layers
    assert not grower.history[-1].costs["macs"] > grower.bounds[0].limit


def test_a_growth_that_takes_all_of_the_compute_is_told_of(done: Told) -> None:
    """Here it is a hundredth of what the same run wanted."""
    poor = told(**done.case)
    training = poor.grower.training
    poor.grower.training = replace(training, compute=training.whole / 100)
    poor.grower.run()
    for one, said in ((done, 0), (poor, 1)):
        notes = [event.text for event in one.events if isinstance(event, Note)]
        assert len([text for text in notes if "no compute is left to train" in text]) == said
    assert not any(row.epoch > poor.grower.steps[-1].epoch for row in poor.grower.history)


def test_the_rate_is_held_past_the_last_growth_where_training_says_so() -> None:
    held = told()
    until = (AT[-1] + EPOCHS) / 2
    held.grower.training = replace(held.grower.training, hold=until / EPOCHS)
    held.grower.run()
    moved = list(zip(moments(held), held.rates, strict=True))
    assert {rate for at, rate in moved if 1 + STEP < at <= until} == {0.02}
    after = [rate for at, rate in moved if at > until + STEP]
    assert after and all(a > b for a, b in pairwise([0.02, *after]))


def test_without_a_growth_it_is_plain_training() -> None:
    found = told()
    found.grower.growing = GrowthSchedule(stages=(), at=(), width_step=2)
    found.grower.run()
    assert not found.grower.steps
    assert found.grower.state.graph == found.seed
    falling = [row.rate for row in found.grower.history if row.epoch > 1 + STEP]
    assert len(falling) > 2 and all(a > b for a, b in pairwise(falling))

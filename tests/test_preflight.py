"""Before a run: how far growth reaches, what fills the limits, what it takes, what is refused."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import NETWORKS, SIZE

import easearch as ea
from easearch.budget import Budget, find_meter
from easearch.budget.unit_check import Reach
from easearch.errors import BudgetError, DeviceError
from easearch.feed import DataFeed, data_of
from easearch.graph import stride
from easearch.growth.events import Event, Note
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.targets import towards
from easearch.preflight.plan import Preflight, plan
from easearch.preflight.reach import check_floors, filled, unreachable, widest
from easearch.preflight.ready import make_ready
from easearch.preflight.timing import attempts
from easearch.roles import Bound, Range

STEP = 2


def graph_of(name: str) -> ea.Graph:
    return ea.trace(NETWORKS[name](), torch.zeros(1, 1, SIZE, SIZE))


def growing(stages: tuple[float, ...] = (0.5, 1.0), **more: Any) -> GrowthSchedule:
    at = tuple(range(1, len(stages) + 1))
    return GrowthSchedule(stages=stages, at=at, **{"width_step": STEP, **more})


def bounds(graph: ea.Graph, **limits: str) -> tuple[Bound, ...]:
    return Budget(limits).bounds(graph)


@pytest.mark.parametrize("name", NETWORKS)
def test_growth_reaches_a_double_on_the_step_and_no_more(name: str) -> None:
    """Every group at its widest is what splitting every channel once a growth can make of it."""
    graph = graph_of(name)
    before = graph
    for after in widest(graph, growing((0.2, 0.5, 1.0))):
        for group in before.channel_groups:
            width, own = after.groups[group.name].width, stride(graph, group.name, STEP)
            assert group.width <= width <= 2 * group.width
            if group.frozen is not None:
                assert width == group.width
            else:
                assert width == group.width or width % own == 0
                assert width + own > 2 * group.width
        before = after


@pytest.mark.parametrize("name", NETWORKS)
def test_what_fills_a_limit_keeps_it_and_leaves_no_step(name: str) -> None:
    graph, schedule = graph_of(name), growing()
    limits = bounds(graph, macs="2.2x", params="1.9x", memory="1.7x")
    stages = filled(graph, schedule, towards(limits, schedule.stages))
    tops = [graph, *stages]
    for stage, (before, after) in zip(schedule.stages, pairwise(tops), strict=True):
        most = widest(before, growing((1.0,)))[0]
        stops = []
        for bound in limits:
            own = bound.meter.cost(graph).total
            stops.append(own + stage * (bound.limit - own))
            assert bound.meter.cost(after).total <= stops[-1] * (1 + 1e-12)
        for group in after.growable:
            assert before.groups[group.name].width <= group.width
            wider = (group.width // (own := stride(graph, group.name, STEP)) + 1) * own
            if wider <= most.groups[group.name].width:
                more = after.with_widths({group.name: wider})
                costs = [bound.meter.cost(more).total for bound in limits]
                assert any(cost > stop for cost, stop in zip(costs, stops, strict=True))
            else:
                assert group.width == most.groups[group.name].width


def test_a_limit_beyond_reach_ends_at_the_widest() -> None:
    graph, schedule = graph_of("plain"), growing()
    (bound,) = bounds(graph, macs="999x")
    top = widest(graph, schedule)[-1]
    assert filled(graph, schedule, towards([bound], schedule.stages))[-1] == top
    reach = Reach(meter=bound.meter, graphs=(graph, *widest(graph, schedule)))
    told = unreachable(bound, reach)
    assert told is not None and "growth cannot fill the limit macs" in told
    assert reach.climbed(math.inf) == (bound.meter.cost(top).total, True)
    (near,) = bounds(graph, macs="1.5x")
    assert unreachable(near, reach) is None


def test_wide_networks_are_not_priced_for_a_near_limit() -> None:
    graph = graph_of("plain")

    class Dear:
        name, unit = "dear", "MACs"
        asked = 0

        def cost(self, graph: ea.Graph) -> Any:
            self.asked += 1
            return find_meter("macs").cost(graph)

    dear = Dear()
    reach = Reach(meter=dear, graphs=(graph, *widest(graph, growing((0.1, 0.2, 0.5, 1.0)))))  # type: ignore[arg-type]
    assert reach.at_least(1.5 * reach.own)
    assert dear.asked == 2
    assert reach.climbed(1.5 * reach.own)[1] is False


def test_floors_ceilings_and_locks_bound_the_reach() -> None:
    graph = graph_of("plain")
    names = [group.name for group in graph.growable]
    first = graph.groups[names[0]].width
    held = {names[0]: Range.locked(), names[1]: Range(high=graph.groups[names[1]].width + STEP)}
    schedule = growing(widths=held)
    top = widest(graph, schedule)[-1]
    assert top.groups[names[0]].width == first
    assert top.groups[names[1]].width <= graph.groups[names[1]].width + STEP
    (bound,) = bounds(graph, macs="1.5x")
    assert (
        filled(graph, schedule, towards([bound], schedule.stages))[-1].groups[names[0]].width
        == first
    )
    with pytest.raises(BudgetError, match="out of reach: from"):
        widest(graph, growing(widths={names[0]: Range(low=4 * first + 1)}))
    with pytest.raises(BudgetError, match=r"nothing can grow.*lock"):
        widest(graph, growing(widths={name: Range.locked() for name in names}))
    with pytest.raises(BudgetError, match="no channel group reaches a wider multiple of 4096"):
        widest(graph, growing(width_step=4096))
    floors = growing(widths={name: Range(low=4 * graph.groups[name].width) for name in names})
    with pytest.raises(BudgetError, match=r"at its floor the network costs .* of macs, more than"):
        check_floors(graph, floors, [bound])
    check_floors(graph, schedule, [bound])


def recipe(**changes: Any) -> ea.Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"name": "fashion-mnist-mini", "validation": 0.8, "size": 14},
        "model": {
            "name": "mobilenet_v1",
            "arguments": {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8},
        },
        "budget": {"limits": {"macs": "1.8x", "params": "4x", "memory": "99x"}},
        "growth": {"stages": [0.5, 1.0], "at": [0.25, 0.5], "images": 192, "width_step": 4},
        "training": {"epochs": 4, "batch_size": 64, "rate": 0.05},
    }
    return ea.Recipe.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def found() -> Preflight:
    before = torch.get_rng_state()
    looked = plan(recipe())
    assert torch.equal(before, torch.get_rng_state())
    return looked


def test_a_plan_tells_every_limit_and_every_group(found: Preflight) -> None:
    macs, params, memory = found.limits
    assert (macs.meter, macs.written, macs.unit) == ("macs", "macs: 1.8x", "MACs")
    assert macs.limit == pytest.approx(1.8 * macs.seed)
    assert macs.fills and macs.verdict == "met and filled"
    assert params.seed < params.expected < params.limit
    assert not params.fills and params.verdict.endswith("macs is full first")
    assert not memory.fills and memory.verdict.endswith("growth reaches no further")
    assert memory.reach_ends and memory.reach < memory.limit
    for one in found.limits:
        assert one.seed < one.expected <= one.limit
        assert one.expected <= one.reach
    widths = {group.name: group for group in found.groups}
    assert {g.name for g in found.groups if g.frozen is not None} == {"input", "head"}
    assert all(g.seed <= g.expected <= g.most for g in found.groups)
    assert widths["stem.conv"].most == 4 * widths["stem.conv"].seed
    assert found.channels == (24, 35)
    assert found.growths == (1, 2)


def test_what_a_run_takes_is_what_it_will_take(found: Preflight, tmp_path: Path) -> None:
    """Multiply-adds are counted by both: the estimate's widths are not growth's own, nearly so."""
    takes = found.estimate
    assert takes.total == pytest.approx(sum(takes.seconds.values()))
    assert all(seconds >= 0 for seconds in takes.seconds.values())
    assert takes.memory_mb > 100 and takes.cores >= 1 and takes.device == "cpu"
    told: list[Event] = []
    run = ea.grow(recipe(), tmp_path / "run", watch=told.append)
    assert "growth cannot fill the limit memory" in found.notes[0]
    assert run.summary["notes"][0] == found.notes[0]
    assert next(event.text for event in told if isinstance(event, Note)) == found.notes[0]
    truth = run.summary["compute"]
    assert set(takes.compute) == set(truth)
    for part in ("training", "scoring", "search", "total"):
        assert takes.compute[part] == pytest.approx(truth[part], rel=0.2), part
    costs = run.summary["seed_cost"], run.summary["cost"]
    for one in found.limits:
        assert one.seed == costs[0][one.meter]
        assert one.expected == pytest.approx(costs[1][one.meter], rel=0.25)


def test_images_that_are_not_known_yet_are_planned_for_the_most(tmp_path: Path) -> None:
    """No run with "auto" takes more than its plan says, and the plan says that it is the most."""
    growth = {**recipe().growth.model_dump(), "images": "auto"}
    asked = recipe(
        growth=growth, data={"name": "fashion-mnist-mini", "size": 14, "validation": 0.7}
    )
    looked = plan(asked)
    takes = looked.estimate
    assert (takes.at_most, takes.images) == (True, 1500)
    assert dict(looked.cost_rows())["scoring"].startswith("up to ")
    assert dict(looked.cost_rows())["time in all"].startswith("up to ")
    assert any("1,500 a growth at most" in note for note in looked.notes)
    run = ea.grow(asked, tmp_path / "run")
    assert run.summary["compute"]["scoring"] <= 1.2 * takes.compute["scoring"]
    assert run.summary["compute"]["search"] == pytest.approx(takes.compute["search"], rel=0.2)


@pytest.mark.parametrize(
    ("most", "tries"), [(500, [500]), (1024, [1024]), (3000, [1024, 2048, 3000])]
)
def test_auto_tries_twice_as_many_each_time(most: int, tries: list[int]) -> None:
    assert attempts(most) == tries


def test_a_feed_keeps_what_is_searched_on_apart() -> None:
    """For any number of images, and for "auto", which offers half and searches on 4,096 at most."""
    for images, scored, searched in (
        (100, 100, 100),
        (4200, 4200, 4096),
        (9000, 4500, 4096),
        ("auto", 4500, 4096),
    ):
        growth = {**recipe().growth.model_dump(), "images": images}
        data = {"name": "fashion-mnist-mini", "size": 14}
        asked = recipe(growth=growth, data=data)
        feed = DataFeed(dataset=data_of(asked), recipe=asked, device="cpu")
        one, other = feed.scoring(1), feed.searching(1)
        assert (one.samples, other.samples) == (scored, searched)
        seen = {tuple(x.flatten().tolist()) for x in one.images.x}
        found = [tuple(x.flatten().tolist()) in seen for x in other.images.x]
        assert sum(found) <= 0.01 * len(found)  # some pictures are twice in the set


def test_the_printed_plan_names_everything(found: Preflight) -> None:
    text = str(found)
    for word in ("macs", "params", "stem.conv", "no: its channels are", "training", "peak memory"):
        assert word in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_is_refused_leaves_nothing_at_all(tmp_path: Path) -> None:
    """Not even the folder above the run's."""
    deep = tmp_path / "not" / "yet" / "there"
    for changes, error in (
        ({"budget": {"limits": {"params": "10 params"}}}, BudgetError),
        ({"budget": {"limits": {"macs": 24}}}, BudgetError),
        ({"growth": {"stages": [1.0], "at": [0.5], "width_step": 64}}, BudgetError),
    ):
        with pytest.raises(error) as grown:
            ea.grow(recipe(**changes), deep)
        with pytest.raises(error) as planned:
            plan(recipe(**changes))
        assert str(grown.value) == str(planned.value)
    assert list(tmp_path.iterdir()) == []


def board(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is known by its table alone, and its table knows one operator."""
    monkeypatch.setenv("EASEARCH_BUDGETS", str(folder / "budgets"))
    (folder / "rows.csv").write_text("kind,in,out,kernel,stride,size,us\nconv,3,8,3,2,8,500\n")
    from easearch.budget.profiling import pasted

    pasted("board", folder / "rows.csv", step=8)


def test_a_device_that_cannot_price_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board(tmp_path, monkeypatch)
    limits: dict[str, Any] = {"device": "board", "limits": {"latency": "2x"}}
    with pytest.raises(DeviceError, match="table of 'board' has no rows for"):
        ea.grow(recipe(budget=limits), tmp_path / "run")
    # without a limit on its latency the run may begin, and says what it does not know
    limits["limits"] = {"macs": "1.5x"}
    ready = make_ready(recipe(budget=limits), lambda event: None)
    assert "latency" not in [meter.name for meter in ready.meters]
    (note,) = ready.notes
    assert note.startswith("latency is not told of")

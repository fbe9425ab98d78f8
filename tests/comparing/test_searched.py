"""The rival that searches widths: within the limits, for the same compute, judged on validation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from contests import Watched, check_entry, contest, same, weights

import easearch.comparing.arms.searched as searched
import easearch.comparing.making.compute_budget as spending
from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.arms.searched import (
    FILLED,
    LEAST,
    LOOKING,
    MOST,
    PROXIES,
    SEARCHED,
    SHARE,
    Search,
)
from easearch.comparing.making.compute_budget import ComputeBudget
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Event, Phase
from easearch.growth.stream import step_compute
from easearch.roles import Range


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def priced() -> list[tuple[Graph, float]]:
    return []


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Event],
    watched: Watched,
    priced: list[tuple[Graph, float]],
) -> Iterator[tuple[Setting, Delivered]]:
    price = searched.whole_share

    def share(graph: Graph, *rest: Any, **more: Any) -> float:
        priced.append((graph, price(graph, *rest, **more)))
        return priced[-1][1]

    with contest(tmp_path_factory.mktemp("entry"), events=events) as setting:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spending, "train_epoch", watched)
            patch.setattr(searched, "whole_share", share)
            delivered = SEARCHED.run(setting)
        yield setting, delivered


def test_limits_grid_and_compute_are_kept(done: Any) -> None:
    check_entry(*done)


def test_the_same_seed_gives_the_same_network(done: Any, tmp_path: Path) -> None:
    _, delivered = done
    with contest(tmp_path) as again:
        other = SEARCHED.run(again)
    assert other.notes == delivered.notes
    assert other.bill == delivered.bill
    assert same(weights(other.model), weights(delivered.model))


def test_what_is_over_a_limit_costs_nothing(done: Any, watched: Watched, priced: Any) -> None:
    setting, delivered = done
    uniform, *asked = priced
    order = [tuple(graph.widths.items()) for graph, _ in asked]
    within = {tuple(g.widths.items()) for g, share in asked if FILLED * uniform[1] <= share <= 1}
    assert any(share > 1 for _, share in asked), "nothing over the limit was asked for"
    assert any(share < FILLED * uniform[1] for _, share in asked), "nothing small was asked for"
    assert len(watched.trainings) - 1 == len(within) == PROXIES
    looked = Search(contest=setting, purse=ComputeBudget(whole=setting.compute))._looked().samples
    assert LOOKING * SHARE * 0.9 < looked * macs(setting, setting.uniform) / setting.compute
    # in the order of the trials: those within the limits, each once
    tried = [dict(widths) for widths in dict.fromkeys(order) if widths in within]
    feed = setting.ready.feed
    steps = [len(rates) for rates in watched.trainings[:-1]]
    trained = [
        count * step_compute(macs(setting, widths), feed)
        for count, widths in zip(steps, tried, strict=True)
    ]
    assert max(trained) <= SHARE * setting.compute
    assert min(trained) > 0.8 * SHARE * setting.compute
    looks = looked * sum(macs(setting, widths) for widths in tried)
    assert delivered.bill["search"] == pytest.approx(sum(trained) + looks, rel=1e-9)


def macs(setting: Setting, widths: Any) -> int:
    return Compute.macs_of(setting.graph.with_widths(widths))


def test_a_small_validation_part_is_looked_at_whole(tmp_path: Path) -> None:
    data = {"name": "fashion-mnist-mini", "validation": 0.002}
    training = {"epochs": 40, "batch_size": 50}
    with contest(tmp_path, data=data, training=training) as setting:
        looked = Search(contest=setting, purse=ComputeBudget(whole=setting.compute))._looked()
        assert looked.samples == len(setting.ready.data.validation)


def test_trials_stay_within_their_range_and_begin_with_the_uniform_widths(
    done: Any, priced: Any
) -> None:
    setting, _ = done
    assert priced[1][0].widths == dict(setting.uniform)
    step = setting.ready.growing.width_step
    for graph, _ in priced:
        for group in graph.growable:
            uniform = setting.uniform[group.name]
            assert LEAST * uniform - step < group.width <= MOST * uniform
    assert len({tuple(graph.widths.values()) for graph, _ in priced}) > PROXIES


def test_the_best_of_the_short_trainings_is_trained(done: Any, tmp_path: Path) -> None:
    _, delivered = done
    with contest(tmp_path) as again:
        search = Search(contest=again, purse=ComputeBudget(whole=again.compute))
        widths = search.best()
    assert len(search.losses) == PROXIES
    key = tuple(widths[name] for name in search.steps)
    assert search.losses[key] == min(search.losses.values())
    assert len(set(search.losses.values())) == PROXIES
    assert delivered.graph.widths == {**delivered.graph.widths, **widths}


def test_every_training_has_the_whole_schedule(done: Any, watched: Watched) -> None:
    setting, _ = done
    highest = setting.ready.training.rate
    *short, last = (list(rates.values()) for rates in watched.trainings)
    assert last[0] < 0.2 * highest
    assert max(last) == pytest.approx(highest, rel=0.01)
    assert last[-1] < 0.001 * highest
    for rates in short:
        assert rates[0] < max(rates) > 2 * rates[-1]


def test_trials_are_told(done: Any, events: list[Event]) -> None:
    told = [e.detail for e in events if isinstance(e, Phase) and e.name == "trial"]
    assert len(told) == PROXIES
    assert told[0].startswith(f"1 of {PROXIES}: ")


def test_every_training_begins_with_the_same_draws(tmp_path: Path) -> None:
    with contest(tmp_path) as setting:
        first = weights(searched._begun(setting, dict(setting.uniform)).model)
        torch.rand(3)
        assert same(first, weights(searched._begun(setting, dict(setting.uniform)).model))


def test_locks_floors_and_ceilings_hold(tmp_path: Path) -> None:
    with contest(tmp_path) as free:
        names = [group.name for group in free.graph.growable]
    ranges = {names[0]: "locked", names[1]: {"min": 16, "max": 20}}
    growth = {"stages": [1.0], "at": [0.5], "images": 128, "width_step": 4, "widths": ranges}
    with contest(tmp_path, growth=growth) as setting:
        assert setting.ready.growing.widths[names[0]] == Range.locked()
        search = Search(contest=setting, purse=ComputeBudget(whole=setting.compute))
        assert names[0] not in search.steps
        low, high = search._ends(names[1])
        assert (4 * low, 4 * high) == (16, 20)


def test_networks_that_do_not_learn_are_worst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study takes no NaN, and the entry still ends."""
    monkeypatch.setattr(searched, "PROXIES", 2)
    training = {"epochs": 8, "batch_size": 50, "rate": 1e6}
    with contest(tmp_path, training=training) as setting:
        search = Search(contest=setting, purse=ComputeBudget(whole=setting.compute))
        search.best()
    assert len(search.losses) == 2 and set(search.losses.values()) == {searched.WORST}
    assert 0 < search.purse.spent <= setting.compute * 2 * searched.SHARE  # what failed is paid


def test_without_a_trial_the_uniform_widths_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searched, "ASKED", 0)
    with contest(tmp_path) as setting:
        search = Search(contest=setting, purse=ComputeBudget(whole=setting.compute))
        assert search.best() == dict(setting.uniform)
        assert search.purse.spent == 0

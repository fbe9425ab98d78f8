"""The rivals that take away: Torch-Pruning and slicing, each to the same limits and compute."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from contests import Watched, check_entry, contest, same, weights
from torch import nn

import easearch as ea
import easearch.comparing.making.compute_budget as spending
from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.arms.pruned import PRUNED, WEIGHING
from easearch.comparing.arms.sliced import SLICED
from easearch.comparing.making.larger import TIMES
from easearch.comparing.making.pruning import KINDS, Pruning, held_and_floors
from easearch.errors import BudgetError, GraphError, MissingExtraError
from easearch.models import build
from easearch.roles import Range

CASES = (*(("pruned", kind) for kind in KINDS), ("sliced", None))
ARMS = {"pruned": PRUNED, "sliced": SLICED}
SAMPLE = torch.zeros(1, 1, 28, 28)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: ":".join(filter(None, case)))
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Setting, Delivered, Watched]]:
    name, option = request.param
    if name == "pruned":
        pytest.importorskip("torch_pruning")
    watched = Watched()
    with contest(tmp_path_factory.mktemp("entry"), option) as setting:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spending, "train_epoch", watched)
            delivered = ARMS[name].run(setting)
        yield name, setting, delivered, watched


def test_limits_grid_and_compute_are_kept(done: Any) -> None:
    _, setting, delivered, _ = done
    check_entry(setting, delivered)


def test_the_limit_is_just_met(done: Any) -> None:
    _, setting, delivered, _ = done
    shares = [b.meter.cost(delivered.graph).total / b.limit for b in setting.ready.bounds]
    assert max(shares) > 0.75


def test_the_same_seed_gives_the_same_network(done: Any, tmp_path: Path) -> None:
    name, setting, delivered, _ = done
    with contest(tmp_path, setting.option) as again:
        other = ARMS[name].run(again)
    assert other.bill == delivered.bill
    assert same(weights(other.model), weights(delivered.model))


def test_it_begins_wider_and_is_never_annealed_before_it_is_cut(done: Any) -> None:
    _, setting, _, watched = done
    first, second = (list(rates.values()) for rates in watched.trainings)
    highest, feed = setting.ready.training.rate, setting.ready.feed
    wide = setting.compute / 2 / len(first) / feed.samples * feed.steps / 3
    (limit,) = (b.limit for b in setting.ready.bounds if b.meter.name == "macs")
    assert 0.75 * TIMES < wide / limit < 1.02 * TIMES
    assert first[0] < 0.2 * highest
    warm = math.ceil(2 / setting.ready.training.epochs * len(first))
    assert set(first[warm:]) == {highest}
    assert all(later < earlier for earlier, later in pairwise(second))
    assert second[0] > 0.99 * highest
    assert second[-1] < 0.001 * highest


def test_momentum_goes_on_where_it_can(done: Any) -> None:
    name, _, _, watched = done
    assert watched.momenta[0] == 0
    assert (watched.momenta[1] > 0) == (name == "sliced")


def test_weighing_by_gradients_is_charged(done: Any) -> None:
    _, setting, delivered, _ = done
    charged = delivered.bill.get("scoring", 0.0) / setting.compute
    if setting.option == "taylor":
        assert 0.3 * WEIGHING < charged <= WEIGHING
    else:
        assert charged == 0


def test_slicing_ends_at_the_uniform_widths(done: Any) -> None:
    name, setting, delivered, _ = done
    if name == "sliced":
        assert delivered.graph.widths == dict(setting.uniform)
    assert "began as a uniform network" in delivered.notes[0]


# --- Torch-Pruning itself


def settled(name: str, **arguments: Any) -> nn.Module:
    """In float64, with norms that differ from channel to channel."""
    model = build(name, stem_channels=16, layout=[[16, 1, 1], [24, 2, 2]], **arguments)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.double().eval()


def dead(model: nn.Module, graph: ea.Graph, count: int) -> None:
    """Silence the first channels of every group that can change: rows, scales, columns are zero."""
    parameters = dict(model.named_parameters())
    for group in graph.growable:
        for name in (*group.writers, *group.followers, *group.readers):
            for held in graph.by_name[name].tensors:
                axis = held.columns if name in group.readers else held.rows
                if held.path in parameters and axis is not None:
                    parameters[held.path].data.narrow(axis, 0, count).zero_()


def pruning(kind: str, model: nn.Module, graph: ea.Graph, **widths: Range) -> Pruning:
    held, floors = held_and_floors(graph, widths)
    x = torch.randn(16, 1, 28, 28, dtype=torch.float64)
    y = torch.arange(16) % 10

    def gradients(one: nn.Module) -> None:
        one.zero_grad()
        nn.functional.cross_entropy(one(x), y).backward()

    sample = SAMPLE.double()
    return Pruning(kind=kind, sample=sample, step=4, gradients=gradients, held=held, floors=floors)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_what_does_nothing_goes_first(name: str, kind: str) -> None:
    pytest.importorskip("torch_pruning")
    model = settled(name)
    graph = ea.trace(model, SAMPLE.double())
    dead(model, graph, 4)
    before, x = weights(model), torch.randn(4, 1, 28, 28, dtype=torch.float64)
    narrow = pruning(kind, model, graph).at(model, 0.02)
    after = ea.trace(narrow, SAMPLE.double()).widths
    growable = {group.name for group in graph.growable}
    assert after == {n: w - 4 if n in growable else w for n, w in graph.widths.items()}
    torch.testing.assert_close(narrow.eval()(x), model.eval()(x), rtol=1e-9, atol=1e-12)
    assert same(before, weights(model))
    assert all(p.grad is None for p in narrow.parameters())


def test_locks_and_floors_hold() -> None:
    pytest.importorskip("torch_pruning")
    model = settled("mobilenet_v1")
    graph = ea.trace(model, SAMPLE.double())
    first, second, third, *_ = (group.name for group in graph.growable)
    free = pruning("magnitude", model, graph).at(model, 0.6)
    assert all(ea.trace(free, SAMPLE.double()).widths[n] < 16 for n in (first, second, third)[:2])
    wanted = {first: Range.locked(), second: Range(low=12)}
    held = pruning("magnitude", model, graph, **wanted).at(model, 0.6)
    widths = ea.trace(held, SAMPLE.double()).widths
    assert widths[first] == graph.widths[first]
    assert 12 <= widths[second]
    assert widths[third] < graph.widths[third]


def test_a_network_that_it_cannot_prune_is_told_of() -> None:
    pytest.importorskip("torch_pruning")
    model = settled("mobilenet_v1")
    one = pruning("magnitude", model, ea.trace(model, SAMPLE.double()))
    with pytest.raises(GraphError, match="Torch-Pruning cannot prune this network"):
        replace(one, sample=torch.zeros(1, 3, 28, 28)).at(model, 0.5)


def test_a_limit_out_of_reach_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_pruning")
    monkeypatch.setattr("easearch.comparing.arms.pruned.TOP", 0.02)
    training = {"epochs": 4, "batch_size": 50, "rate": 0.05}
    with contest(tmp_path, "magnitude", training=training) as setting:
        with pytest.raises(BudgetError, match="expected a pruned network within the limits"):
            PRUNED.run(setting)


def test_without_the_package_it_says_which_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    forbidden: Callable[..., Any] = lambda *_: pytest.fail("it trained first")  # noqa: E731
    monkeypatch.setattr(spending, "train_epoch", forbidden)
    with contest(tmp_path) as setting:
        with pytest.raises(MissingExtraError, match=r"easearch\[prune\]"):
            PRUNED.run(setting)


def test_variants_by_name() -> None:
    assert [PRUNED.refusal(kind) for kind in (None, *KINDS)] == [None] * (1 + len(KINDS))
    told = PRUNED.refusal("tailor")
    assert told is not None and "did you mean 'taylor'?" in told

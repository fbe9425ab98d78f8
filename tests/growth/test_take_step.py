"""One common step for a plan's moves: the loss on the batches of its search does not rise."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from networks import batches, mean_loss, sample, trained
from torch import Tensor, nn

import easearch as ea
from easearch.data import load
from easearch.data.batches import Batches
from easearch.growth.step import best, searched
from easearch.scoring import CRITERIA


@pytest.fixture(scope="module")
def pictures() -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """A small network after an epoch on the embedded pictures, and a thousand of them."""
    data = load("fashion-mnist-mini", images=2000)
    passes = Batches(data.train, batch_size=100, mean=data.mean, std=data.std, seed=0)
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10)),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in [*passes, *passes, *passes]:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), list(passes)[:10]


@pytest.mark.parametrize("criterion", ["unit", "births"])
def test_the_lines_of_the_readme_do_not_raise_the_loss(
    pictures: tuple[nn.Module, list[tuple[Tensor, Tensor]]], criterion: str
) -> None:
    model, data = pictures
    graph = ea.trace(model, data[0][0])
    found = ea.score(model, graph, data[:4], criterion)
    plan = ea.select(found, graph, ea.Budget({"macs": "2.5x"}), width_step=1)
    assert plan.moves and "ea.take_step(model, graph, plan.moves, batches)" in str(plan)
    step = ea.take_step(model, graph, plan.moves, data)
    assert step.loss_before == pytest.approx(mean_loss(model, data), rel=1e-5)
    assert step.loss_after == pytest.approx(mean_loss(step.model, data), rel=1e-5)
    assert step.loss_after < step.loss_before
    assert ea.trace(step.model, data[0][0]) == graph.after(plan.moves)


def moves_of(model: nn.Module, graph: ea.Graph, criterion: str = "unit") -> list:
    """The best ones, one a channel."""
    chosen: dict[object, ea.Split | ea.NewNeuron] = {}
    for one in ea.score(model, graph, batches(2), criterion)[:8]:
        chosen.setdefault((one.move.group, one.move.channels) or id(one), one.move)
    return list(chosen.values())


@pytest.mark.parametrize("criterion", [name for name in CRITERIA if name != "shuffled"])
def test_no_criterion_raises_the_loss(criterion: str) -> None:
    """Whatever the moves are worth: silent growth is always there; the model is left as it was."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    held = {name: t.clone() for name, t in model.state_dict().items()}
    step = ea.take_step(model, graph, moves_of(model, graph, criterion), batches())
    assert step.loss_after <= step.loss_before + 1e-12
    assert all(torch.equal(held[name], t) for name, t in model.state_dict().items())
    assert dict(step.tried)[0.0] == pytest.approx(step.loss_before, abs=1e-12)


def test_moves_that_only_do_harm_are_made_silently() -> None:
    model = trained("plain")
    graph = ea.trace(model, sample())
    group = graph.growable[0]
    wild = {"one.weight": torch.full((1, 3, 3), 1e3), "one.bias": torch.tensor(-1e3)}
    move = ea.Split(group=group.name, channel=0, offsets=(wild, {}))
    step = ea.take_step(model, graph, [move], batches())
    assert step.factor == 0.0
    assert step.loss_after <= step.loss_before + 1e-12
    assert ea.trace(step.model, sample()) == graph.after([move])


@pytest.mark.parametrize("factors", [(1e300,), (1e300, 1e200), ()])
def test_a_factor_beyond_all_numbers_is_not_taken(factors: tuple[float, ...]) -> None:
    model = trained("plain")
    graph = ea.trace(model, sample())
    moves = moves_of(model, graph)
    step = ea.take_step(model, graph, moves, batches(), factors=factors)
    assert step.factor == 0.0 and math.isfinite(step.loss_after)
    assert all(torch.isfinite(p).all() for p in step.model.parameters())


def test_the_optimizer_goes_on() -> None:
    model = trained("mobilenet_v2")
    graph = ea.trace(model, sample())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = ea.take_step(model, graph, moves_of(model, graph), batches(), optimizer=optimizer)
    assert isinstance(step.optimizer, torch.optim.Adam)
    own = {id(p) for p in step.model.parameters()}
    assert {id(p) for group in step.optimizer.param_groups for p in group["params"]} == own


def test_no_moves_at_all() -> None:
    model = trained("plain")
    graph = ea.trace(model, sample())
    step = ea.take_step(model, graph, [], batches())
    assert step.factor == 0.0 and step.model is not model
    assert ea.trace(step.model, sample()) == graph


def test_norms_are_measured_anew_only_where_it_does_not_raise_the_loss() -> None:
    """Statistics that are far off are mended; a batch of one value a channel leaves them."""
    model = copy.deepcopy(trained("tied"))
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += 3.0
    graph = ea.trace(model, sample())
    step = ea.take_step(model, graph, [], batches())
    assert step.loss_after < step.loss_before
    small = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).double()
    graph = ea.trace(small.eval(), torch.randn(2, 4, dtype=torch.float64))
    one = [(torch.randn(1, 4, dtype=torch.float64), torch.tensor([1]))]
    kept = ea.take_step(small, graph, [], one)
    assert torch.equal(kept.model[1].running_mean, small[1].running_mean)


def test_the_lowest_loss_and_of_equals_the_silent_one() -> None:
    losses = {0.0: 1.0, 2.0: math.nan, 1.0: 0.9, 0.5: 0.8, 0.25: 0.85}
    tried = searched(losses.__getitem__, (2.0, 1.0, 0.5, 0.25))
    assert best(tried) == 0.5 and dict(tried)[2.0] == math.inf
    assert best([(2.0, 1.0), (0.0, 1.0), (1.0, 1.5)]) == 0.0
    assert best([(0.0, 1.0), (1.0, math.inf)]) == 0.0

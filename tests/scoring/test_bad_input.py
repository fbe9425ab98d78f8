"""Bad input is a clear error or a stated zero, never a wrong ranking."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from networks import CLASSES, batches, sample, trained
from torch import Tensor, nn

import easearch as ea
from easearch.errors import ScoringError, ScoringWarning
from easearch.scoring import CRITERIA

LOOKING = [name for name in CRITERIA if name not in ("random", "net2net", "unscored")]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return trained("mobilenet_v1")


@pytest.mark.parametrize("criterion", LOOKING)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_loss_that_is_not_finite(model: nn.Module, criterion: str, bad: float, at: int) -> None:
    """Whichever batch it is in, and whichever part reads that."""
    data = batches()
    x, y = data[at]
    data[at] = (torch.where(torch.arange(len(x)).view(-1, 1, 1, 1) == 1, bad, x), y)
    with pytest.raises(ScoringError, match=r"loss of a batch is (nan|inf)"):
        ea.score(model, ea.trace(model, sample()), data, criterion)


class Fading:
    """Batches that are there once, though it can be asked for them again."""

    def __init__(self) -> None:
        self.left = [*batches(), *batches()]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while self.left:
            yield self.left.pop(0)


@pytest.mark.parametrize("criterion", LOOKING)
def test_batches_that_run_out(model: nn.Module, criterion: str) -> None:
    with pytest.raises(ScoringError, match=r"same batches at every pass|at least one batch"):
        ea.score(model, ea.trace(model, sample()), Fading(), criterion)


@pytest.mark.parametrize("criterion", LOOKING)
@pytest.mark.parametrize("make, told", [(list, "at least one"), (iter, "pass list")])
def test_no_batches_and_iterators(model: nn.Module, criterion: str, make: type, told: str) -> None:
    data = make(batches() if make is not list else [])
    with pytest.raises(ScoringError, match=told):
        ea.score(model, ea.trace(model, sample()), data, criterion)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_model_in_train_mode_is_scored_in_evaluation(model: nn.Module, criterion: str) -> None:
    training = copy.deepcopy(model).train()
    graph = ea.trace(training, sample())
    one, other = (ea.score(m, graph, batches(), criterion) for m in (training, model))
    assert training.training
    assert [c.gain for c in one] == [c.gain for c in other]


@pytest.mark.parametrize("criterion", LOOKING)
def test_channels_without_variance_and_dead_ones(model: nn.Module, criterion: str) -> None:
    """A norm whose channel never varied, and a channel that is zero all over: every gain is finite,
    and what is promised for the others stays within the step.
    """
    dead = copy.deepcopy(model)
    graph = ea.trace(dead, sample())
    norm = next(m for m in dead.modules() if isinstance(m, nn.BatchNorm2d))
    conv = next(m for m in dead.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        norm.running_var[0] = 0.0
        for tensor in (conv.weight, norm.weight, norm.bias):
            tensor[1] = 0.0
    found = ea.score(dead, graph, batches(), criterion)
    assert found
    assert all(math.isfinite(c.gain) and c.gain >= 0 for c in found)
    for move in [c.move for c in found[:4]]:
        assert torch.isfinite(ea.apply(dead, graph, [move]).eval()(sample())).all()


class Straight(nn.Module):
    """Nothing bends between the first two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 6, 3, 2, 1), nn.Conv2d(6, 7, 3, 2, 1)
        self.head = nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.two(self.one(x))).mean((2, 3)))


@pytest.mark.parametrize("scope", ["unit", "rows", "layer"])
@pytest.mark.parametrize("solver", ["lanczos", "exact", "rayleigh"])
@pytest.mark.parametrize("c", [1.0, 3.0])
def test_where_nothing_bends_a_split_is_worth_a_stated_zero(
    scope: str, solver: str, c: float
) -> None:
    torch.manual_seed(0)
    straight = Straight().double()
    graph = ea.trace(straight, sample())
    how = ea.Splitting(scope=scope, solver=solver, c=c)  # type: ignore[arg-type]
    found = ea.score(straight, graph, batches(), how)
    assert {c.gain for c in found if c.move.group == "one"} == {0.0}
    assert any(c.gain > 0 for c in found if c.move.group == "two")
    assert "nothing bends" in found.nothing["one"]  # type: ignore[attr-defined]
    assert "two" not in found.nothing  # type: ignore[attr-defined]


def test_few_images_are_doubted(model: nn.Module) -> None:
    graph = ea.trace(model, sample())
    with pytest.warns(ScoringWarning, match="mostly noise"):
        found = ea.score(model, graph, batches(2, 3))
    assert found.held_out < 0.5  # type: ignore[attr-defined]


def test_other_losses_and_targets(model: nn.Module) -> None:
    """Weights by class, a user's own function, targets in a tuple or a dictionary."""
    graph = ea.trace(model, sample())
    weight = torch.linspace(0.5, 2.0, CLASSES, dtype=torch.float64)

    def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, weight=weight)

    def by_name(outputs: Tensor, targets: dict[str, Tensor]) -> Tensor:
        return weighted(outputs, targets["label"])

    def of_two(outputs: Tensor, targets: tuple[Tensor, float]) -> Tensor:
        return weighted(outputs, targets[0]) * targets[1]

    plain = ea.score(model, graph, batches(3, 80), loss=weighted)
    named = ea.score(model, graph, [(x, {"label": y}) for x, y in batches(3, 80)], loss=by_name)
    paired = ea.score(model, graph, [(x, (y, 1.0)) for x, y in batches(3, 80)], loss=of_two)
    assert [c.gain for c in plain] == [c.gain for c in named] == [c.gain for c in paired]
    assert ea.score(model, graph, batches(3, 80))[0].gain != plain[0].gain


def test_weights_by_class_keep_their_promise(model: nn.Module) -> None:
    """A batch's loss is normalised by its own weights: of micro-batches it is another loss."""
    graph = ea.trace(model, sample())
    data = batches(2, 80)
    weight = torch.linspace(0.1, 4.0, CLASSES, dtype=torch.float64)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, weight=weight)

    def mean(net: nn.Module) -> float:
        return sum(float(loss(net(x), y).detach()) for x, y in data) / len(data)

    how = ea.Splitting(step=0.01, crossfit=False)
    found = ea.score(model, graph, data, how, loss=loss)
    for candidate in found[:5]:
        wider = ea.apply(model, graph, [candidate.move]).eval()
        assert (mean(model) - mean(wider)) / candidate.gain == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("options", [{"c": 0.5}, {"step": 0.0}, {"step": math.nan}])
def test_options_that_no_scoring_can_be_made_with(options: dict[str, float]) -> None:
    with pytest.raises(ScoringError, match="expected"):
        ea.Splitting(**options)  # type: ignore[arg-type]

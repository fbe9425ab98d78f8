"""What the public verbs are given that does not fit: one sentence, before anything is computed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch as ea
from easearch.errors import BudgetError, GraphError, ScoringError
from refusals.refused import raised


class Net(nn.Module):
    """Two convolutions and a classifier."""

    def __init__(self, first: int = 8, second: int = 6) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, first, 3, 1, 1), nn.BatchNorm2d(first)
        self.b, self.head = nn.Conv2d(first, second, 3, 1, 1), nn.Linear(second, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.b(torch.tanh(self.norm(self.a(x))))).mean((2, 3)))


class Mute(Net):
    """Trained by nobody: its outputs have no gradient."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Random(Net):
    """Noise that evaluation mode does not switch off."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5, True))


class Names(nn.Module):
    """Gives whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).argmax(1)


torch.manual_seed(0)
SAMPLE = torch.randn(2, 3, 6, 6)
X, Y = torch.randn(8, 3, 6, 6), torch.arange(8) % 4
BATCHES = [(X, Y), (X + 1, Y)]
MODEL, OTHER = Net().eval(), Net(10, 7).eval()
GRAPH, OTHERS = ea.trace(MODEL, SAMPLE), ea.trace(OTHER, SAMPLE)
CANDIDATES = ea.score(MODEL, GRAPH, BATCHES, "random")
MOVES = [CANDIDATES[0].move]
BUDGET = ea.Budget({"macs": "2x"})
META = copy.deepcopy(MODEL).to("meta")


def frozen() -> nn.Module:
    return copy.deepcopy(MODEL).requires_grad_(False)


def half_frozen() -> nn.Module:
    model = copy.deepcopy(MODEL)
    model.b.weight.requires_grad_(False)
    return model


def with_numbers(value: float) -> nn.Module:
    model = copy.deepcopy(MODEL)
    with torch.no_grad():
        model.b.weight[0, 0, 0, 0] = value
    return model


def in_inference() -> nn.Module:
    with torch.inference_mode():
        return Net().eval()


def gain(value: Any) -> ea.Candidate:
    return ea.Candidate(move=MOVES[0], gain=value)


MODELS: dict[str, tuple[Any, Any, str]] = {
    "a class": (Net, GRAPH, "the class Net"),
    "a function": (lambda x: x, GRAPH, "nn.Module"),
    "none": (None, GRAPH, "got None"),
    "a state dict": (dict(MODEL.state_dict()), GRAPH, "got a dict"),
    "the graph first": (GRAPH, MODEL, "swap"),
    "another model's graph": (MODEL, OTHERS, "trace this model"),
    "another model": (OTHER, GRAPH, "trace this model"),
    "a model that has grown": (ea.apply(MODEL, GRAPH, MOVES), GRAPH, "trace this model"),
    "no graph": (MODEL, None, "ea.trace"),
    "a sample for a graph": (MODEL, SAMPLE, "ea.trace"),
}
SCORED_MODELS: dict[str, tuple[Any, Any, str]] = {
    **MODELS,
    "on meta": (META, GRAPH, "meta device"),
    "frozen": (frozen(), GRAPH, "nothing can grow"),
    "frozen since": (half_frozen(), GRAPH, "'b.weight' has requires_grad=False"),
    "made in inference": (in_inference(), GRAPH, "inference"),
    "mute": (mute := Mute().eval(), ea.trace(mute, SAMPLE), "gradient|not compute"),
    "whole numbers": (names := Names().eval(), ea.trace(names, SAMPLE), "floating type"),
    "random": (chance := Random().eval(), ea.trace(chance, SAMPLE, check=False), "same each time"),
    "nan": (with_numbers(math.nan), GRAPH, "nan"),
    "infinite": (with_numbers(math.inf), GRAPH, "nan|inf|finite"),
}


class Once:
    """A generator in a box: a fresh one is not given twice."""

    def __init__(self) -> None:
        self.left = iter(BATCHES)

    def __iter__(self) -> Any:
        return self.left


LOADED: dict[str, tuple[Any, str]] = {
    "none": (None, "got None"),
    "a tensor": (X, r"\[\(inputs, targets\)\]"),
    "one batch": ((X, Y), r"\[\(inputs, targets\)\]"),
    "a mapping": ({"x": X, "y": Y}, "got a dict"),
    "text": ("batches", "got a str"),
    "a number": (4, "got a int"),
    "no batches": ([], "at least one"),
    "an iterator": (iter(BATCHES), "list"),
    "a generator": ((b for b in BATCHES), "list"),
    "inputs alone": ([X, X], "inputs, targets"),
    "three a batch": ([(X, Y, Y)], "3"),
    "one a batch": ([(X,)], "1"),
    "empty batches": ([(X[:0], Y[:0])], "empty"),
    "no tensors": ([("x", "y")], "tensors"),
    "labels too large": ([(X, Y + 1)], "0 to 3"),
    "labels below zero": ([(X, Y - 1)], "0 to 3"),
    "labels as text": ([(X, list("abcdabcd"))], "loss"),
    "labels as floats": ([(X, Y.float())], "loss"),
    "too few labels": ([(X, Y[:3])], "loss|batch"),
    "none as labels": ([(X, None)], "loss"),
    "double inputs": ([(X.double(), Y)], "float64"),
    "whole inputs": ([(X.long(), Y)], "int64"),
    "on meta": ([(X.to("meta"), Y.to("meta"))], "meta"),
    "two channels": ([(X[:, :2], Y)], r"\(8, 2, 6, 6\)"),
    "a flat input": ([(X.flatten(1), Y)], r"\(8, 108\)"),
    "an input too many": ([((X, X), Y)], "does not run"),
    "by a wrong name": ([({"image": X}, Y)], "does not run"),
    "numpy": ([(X.numpy(), Y)], "does not run|tensors"),
    "nan in the inputs": ([(X * math.nan, Y)], "nan"),
}


def summed(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="sum")


def broken(outputs: Tensor, targets: Tensor) -> Tensor:
    raise RuntimeError("\x1b[31mbroken\x1b[0m\nTraceback: line 1")


LOSSES: dict[str, tuple[Any, str]] = {
    "none": (None, "loss"),
    "a name": ("cross_entropy", "function"),
    "gives none": (lambda o, y: None, "got None"),
    "gives a float": (lambda o, y: 1.0, "got a float"),
    "gives item": (lambda o, y: F.cross_entropy(o, y).item(), "item"),
    "a constant": (lambda o, y: torch.tensor(1.0), "constant"),
    "detached": (lambda o, y: F.cross_entropy(o, y).detach(), "detach"),
    "a vector": (lambda o, y: F.cross_entropy(o, y, reduction="none"), "shape"),
    "one number in a vector": (lambda o, y: F.cross_entropy(o, y)[None], "shape"),
    "whole": (lambda o, y: (o.argmax(1) == y).sum(), "floating"),
    "summed": (summed, "sum"),
    "summed module": (nn.CrossEntropyLoss(reduction="sum"), "sum"),
    "of one argument": (lambda o: o.mean(), "loss"),
    "broken": (broken, "broken"),
    "nan": (lambda o, y: F.cross_entropy(o, y) * math.nan, "nan"),
    "infinite": (lambda o, y: F.cross_entropy(o, y) / 0, "inf"),
    "another's": (nn.BCELoss(), "loss"),
}
MOVED: dict[str, tuple[Any, str]] = {
    "candidates": (CANDIDATES[:2], "c.move for c"),
    "one candidate": (CANDIDATES[0], "list"),
    "one move": (MOVES[0], "list"),
    "a plan": (ea.select(CANDIDATES, GRAPH, BUDGET, width_step=1), "plan.moves"),
    "none": (None, "got None"),
    "text": ("split", "moves"),
    "numbers": ([1, 2], "moves"),
    "another graph's channel": ([ea.Split(group="a", channel=9)], "between 0 and 7"),
    "another graph's group": ([ea.Split(group="zz", channel=0)], "no channel group"),
    "the output": ([ea.NewNeuron(group="head")], "cannot change"),
    "twice": ([ea.Split(group="a", channel=1), ea.Split(group="a", channel=1)], "twice"),
    "nan": (
        [ea.NewNeuron(group="a", into={"a.weight": torch.full((3, 3, 3), math.nan)})],
        "finite",
    ),
}
CHOSEN: dict[str, tuple[Any, str]] = {
    "moves": (MOVES, "wrap"),
    "one": (CANDIDATES[0], "list"),
    "none": (None, "got None"),
    "text": ("candidates", "list"),
    "numbers": ([0.1, 0.2], "candidates"),
    "nan": ([gain(math.nan)], "finite"),
    "infinite": ([gain(math.inf)], "finite"),
    "minus infinite": ([gain(-math.inf)], "finite"),
    "a tensor": ([gain(torch.tensor(1.0))], "float"),
    "text as gain": ([gain("1")], "numbers"),
    "another graph's": (ea.score(OTHER, OTHERS, BATCHES, "random"), "between|group"),
}


@pytest.mark.parametrize("name", SCORED_MODELS)
@pytest.mark.parametrize("criterion", ["births", "unit"])
def test_models_to_score(name: str, criterion: str) -> None:
    model, graph, says = SCORED_MODELS[name]
    raised(lambda: ea.score(model, graph, BATCHES, criterion), says, kind=ScoringError)


@pytest.mark.parametrize("name", MODELS)
def test_models_to_apply_moves_to(name: str) -> None:
    model, graph, says = MODELS[name]
    raised(lambda: ea.apply(model, graph, MOVES), says, kind=GraphError)
    raised(lambda: ea.take_step(model, graph, MOVES, BATCHES), says, kind=GraphError)


def fresh(made: Any) -> Any:
    """What was used up by another row is made again."""
    return iter(BATCHES) if hasattr(made, "__next__") else made


@pytest.mark.parametrize("name", LOADED)
@pytest.mark.parametrize("criterion", ["births", "firefly", "random"])
def test_batches_to_score_on(name: str, criterion: str) -> None:
    given, says = LOADED[name]
    raised(lambda: ea.score(MODEL, GRAPH, fresh(given), criterion), says, kind=ScoringError)


@pytest.mark.parametrize("name", LOADED)
def test_batches_to_take_a_step_on(name: str) -> None:
    given, says = LOADED[name]
    raised(lambda: ea.take_step(MODEL, GRAPH, MOVES, fresh(given)), says, kind=ScoringError)


def test_batches_that_are_there_once() -> None:
    raised(lambda: ea.score(MODEL, GRAPH, Once()), "same batches|at least one", kind=ScoringError)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, says = LOSSES[name]
    raised(lambda: ea.score(MODEL, GRAPH, BATCHES, loss=loss), says, kind=ScoringError)
    raised(lambda: ea.take_step(MODEL, GRAPH, MOVES, BATCHES, loss=loss), says, kind=ScoringError)


@pytest.mark.parametrize("bad", [(X, Y + 1), (X * math.nan, Y), (X[:, :2], Y), (X.double(), Y)])
@pytest.mark.parametrize("criterion", ["births", "unit", "firefly", "gradmax", "fast"])
def test_a_later_batch_is_wrong(bad: tuple[Tensor, Tensor], criterion: str) -> None:
    """Found when it comes, and told as well."""
    raised(lambda: ea.score(MODEL, GRAPH, [*BATCHES, bad], criterion), kind=ScoringError)


@pytest.mark.parametrize("name", MOVED)
def test_moves(name: str) -> None:
    moves, says = MOVED[name]
    raised(lambda: ea.apply(MODEL, GRAPH, moves), says, kind=GraphError)
    raised(lambda: ea.take_step(MODEL, GRAPH, moves, BATCHES), says, kind=GraphError)


@pytest.mark.parametrize("factors", [(0.0,), (-1.0,), (math.nan,), (math.inf,), (True,), ("1",)])
def test_factors(factors: tuple[Any, ...]) -> None:
    raised(lambda: ea.take_step(MODEL, GRAPH, MOVES, BATCHES, factors=factors), kind=GraphError)


@pytest.mark.parametrize("name", CHOSEN)
def test_candidates_to_select_from(name: str) -> None:
    candidates, says = CHOSEN[name]
    raised(lambda: ea.select(candidates, GRAPH, BUDGET, width_step=1), says, kind=GraphError)


BUDGETS = [None, {"macs": "2x"}, 4.0, "2x", ea.Budget]


@pytest.mark.parametrize("budget", BUDGETS, ids=repr)
def test_budgets_to_select_within(budget: Any) -> None:
    raised(lambda: ea.select(CANDIDATES, GRAPH, budget, width_step=1), kind=BudgetError)


@pytest.mark.parametrize("step", [0, -1, 1.5, "8", True])
def test_width_steps(step: Any) -> None:
    raised(lambda: ea.select(CANDIDATES, GRAPH, BUDGET, width_step=step), kind=BudgetError)


CALLS: dict[str, Callable[[Path], Any]] = {
    "trace: a class": lambda _: ea.trace(Net, SAMPLE),
    "trace: none": lambda _: ea.trace(None, SAMPLE),
    "trace: swapped": lambda _: ea.trace(SAMPLE, MODEL),
    "trace: no sample": lambda _: ea.trace(MODEL, None),
    "trace: a shape": lambda _: ea.trace(MODEL, (2, 3, 6, 6)),
    "trace: channels": lambda _: ea.trace(MODEL, SAMPLE[:, :2]),
    "trace: double": lambda _: ea.trace(MODEL, SAMPLE.double()),
    "score: no criterion": lambda _: ea.score(MODEL, GRAPH, BATCHES, None),
    "score: unknown criterion": lambda _: ea.score(MODEL, GRAPH, BATCHES, "births2"),
    "score: a number": lambda _: ea.score(MODEL, GRAPH, BATCHES, 3),
    "score: a criterion's class": lambda _: ea.score(MODEL, GRAPH, BATCHES, ea.Splitting),
    "score: images": lambda _: ea.score(MODEL, GRAPH, BATCHES, images=0),
    "score: images as text": lambda _: ea.score(MODEL, GRAPH, BATCHES, images="all"),
    "select: swapped": lambda _: ea.select(GRAPH, CANDIDATES, BUDGET),
    "select: no graph": lambda _: ea.select(CANDIDATES, MODEL, BUDGET),
    "select: selector": lambda _: ea.select(CANDIDATES, GRAPH, BUDGET, selector="exakt"),
    "measure: a model": lambda _: ea.measure(MODEL, meters=["macs"]),
    "measure: none": lambda _: ea.measure(None, meters=["macs"]),
    "measure: unknown meter": lambda _: ea.measure(GRAPH, meters=["macks"]),
    "save: a class": lambda folder: ea.save(Net, folder / "x", sample=SAMPLE),
    "save: no sample": lambda folder: ea.save(MODEL, folder / "x", sample=None),
    "save: on meta": lambda folder: ea.save(META, folder / "x", sample=SAMPLE),
    "export: a class": lambda folder: ea.export(Net, SAMPLE, folder / "x.onnx"),
    "export: a graph": lambda folder: ea.export(GRAPH, SAMPLE, folder / "x.onnx"),
    "export: on meta": lambda folder: ea.export(META, SAMPLE, folder / "x.onnx"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str, tmp_path: Path) -> None:
    raised(lambda: CALLS[name](tmp_path), folder=tmp_path)


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss(ignore_index=3)])
def test_what_is_right_is_not_refused(loss: Any) -> None:
    """Labels that are left out, sums that are divided, losses near zero, one sample a batch."""
    targets = torch.where(Y == 3, getattr(loss, "ignore_index", 3), Y)
    assert ea.score(MODEL, GRAPH, [(X, targets)], loss=loss)

    def divided(outputs: Tensor, targets: Tensor) -> Tensor:
        return summed(outputs, targets) / len(targets)

    assert ea.score(MODEL, GRAPH, [(X, Y)], loss=divided)
    assert ea.score(MODEL, GRAPH, [(X, Y)], loss=lambda o, y: 0.0 * o.mean()) is not None
    assert ea.score(MODEL, GRAPH, [(X[:1], Y[:1])] * 4, loss=summed)
    with torch.inference_mode():
        assert ea.score(MODEL, GRAPH, [(X, Y)])

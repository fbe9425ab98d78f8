"""Inputs and outputs of any structure are traced, grown and scored as single tensors are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from structured import CASES, Fixed, Tokens, Two, ids, made, mask, x, y
from torch import Tensor, fx, nn

import easearch as ea
from easearch.errors import GraphError
from easearch.structures import call, mapped, named
from easearch.tracing.program import program


@pytest.mark.parametrize("name", CASES)
def test_a_program_takes_and_gives_what_the_model_does(name: str) -> None:
    model, sample = made(CASES[name]), CASES[name].sample()
    expected = call(model, sample)
    traced = program(model, sample)
    got = fx.Interpreter(traced).run(sample)
    assert type(got) is type(expected)
    assert list(named(got)) == list(named(expected))
    for one, other in zip(named(got).values(), named(expected).values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", CASES)
def test_growth_is_silent_and_foretold(name: str) -> None:
    model, sample = made(CASES[name]), CASES[name].sample()
    graph = ea.trace(model, sample)
    assert graph.growable, [group.frozen for group in graph.channel_groups]
    moves = [ea.Split(group=group.name, channel=0) for group in graph.growable]
    wider = ea.apply(model, graph, moves)
    assert ea.trace(wider, sample) == graph.after(moves)
    scores = CASES[name].scores
    assert torch.allclose(
        scores(call(wider, sample)), scores(call(model, sample)), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", CASES)
def test_a_loss_takes_what_the_model_gives(name: str) -> None:
    model, sample = made(CASES[name]), CASES[name].sample()
    scores = CASES[name].scores

    def loss(outputs: Any, targets: Tensor) -> Tensor:
        return F.cross_entropy(scores(outputs), targets)

    targets = torch.arange(len(scores(call(model, sample)))) % 4
    graph = ea.trace(model, sample)
    found = ea.score(model, graph, [(sample, targets)], loss=loss, crossfit=False)
    assert {c.move.group for c in found} == {group.name for group in graph.growable}


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_the_batch_does_not_count(batch: int) -> None:
    case = CASES["tokens and a mask"]
    assert ea.trace(made(case), (ids(batch), mask(batch))) == ea.trace(made(case), case.sample())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_type(dtype: torch.dtype) -> None:
    model = Two().to(dtype)
    graph = ea.trace(model, mapped(lambda t: t.to(dtype), {"image": x(), "extra": y()}))
    assert [group.name for group in graph.growable] == ["a"]


class Needs(nn.Module):
    def __init__(self, give: Any) -> None:
        super().__init__()
        self.a, self.give = nn.Linear(5, 4), give

    def forward(self, x: Tensor) -> Any:
        return self.give(self.a(x))


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


LAZY = nn.Sequential(nn.LazyConv2d(4, 1), nn.Flatten(), nn.LazyLinear(2))
REFUSED: dict[str, tuple[nn.Module, Any, tuple[str, ...]]] = {
    "an unknown name": (Tokens(), {"tokens": ids()}, ("tokens (6, 9)", "keyword arguments")),
    "one too few": (Two(), x(), ("'extra'",)),
    "nothing": (Two(), {}, ("'image'", "empty dict")),
    "no tensor": (Fixed(), [[1.0]], ("at least one tensor", "a list of 0.0 a float")),
    "an array": (Fixed(), x().numpy(), ("at least one tensor", "ndarray")),
    "an object of their own": (Needs(Holder).double(), x(), ("Holder", "dataclasses")),
    "another size": (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
        torch.ones(2, 5, 5),
        ("'1' (Linear(in_features=64", "(2, 25)", "give a sample of the size"),
    ),
    "layers without sizes": (LAZY, torch.ones(2, 3, 5, 5), ("LazyConv2d",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(case: str) -> None:
    model, sample, said = REFUSED[case]
    with pytest.raises(GraphError) as caught:
        ea.trace(model, sample)
    told = str(caught.value)
    assert all(word in told for word in said), told
    assert "\n" not in told and "\x1b" not in told and len(told) < 500


def test_other_inputs_than_the_samples_are_refused() -> None:
    traced = program(Tokens(), (ids(), mask()))
    with pytest.raises(GraphError, match=r"expected the inputs 'ids', 'mask'.*got 'ids'"):
        fx.Interpreter(traced).run(ids())
    given = {"mask": mask(), "ids": ids()}
    assert torch.equal(
        fx.Interpreter(traced).run(given), fx.Interpreter(traced).run((ids(), mask()))
    )

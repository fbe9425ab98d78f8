"""What is scored on: what cannot be used is refused with a sentence, halves are disjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import batches, sample, trained
from torch import Tensor

import easearch as ea
from easearch.errors import ScoringError
from easearch.scoring import CRITERIA
from easearch.scoring.samples.batches import parts

LOOKING = [name for name in CRITERIA if name not in ("random", "net2net", "unscored")]
"""The criteria that look at the batches."""


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return trained("plain")


def refused(model: torch.nn.Module, data: Any, criterion: str = "unit", **how: Any) -> str:
    graph = ea.trace(model, sample())
    with pytest.raises(ScoringError) as caught:
        ea.score(model, graph, data, criterion, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("criterion", LOOKING)
@pytest.mark.parametrize("crossfit", [False, True])
def test_what_passes_once_or_is_empty_is_refused(
    model: torch.nn.Module, criterion: str, crossfit: bool
) -> None:
    how = {"criterion": criterion, "crossfit": crossfit}
    assert "more than once" in refused(model, iter(batches()), **how)
    assert "more than once" in refused(model, (b for b in batches()), **how)
    assert "at least one batch" in refused(model, [], **how)


@pytest.mark.parametrize("criterion", LOOKING)
def test_a_loss_that_is_no_finite_mean_is_refused(model: torch.nn.Module, criterion: str) -> None:
    def each(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction="none")

    def nothing(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) * float("nan")

    def endless(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) + float("inf")

    assert "a scalar, got a tensor of shape (16,)" in refused(
        model, batches(), criterion, loss=each
    )
    assert "is nan" in refused(model, batches(), criterion, loss=nothing)
    assert "is inf" in refused(model, batches(), criterion, loss=endless)
    x, y = batches(1)[0]
    spoilt = [*batches(), (x * float("nan"), y)]
    assert "is nan" in refused(model, spoilt, criterion)


def test_one_sample_cannot_be_parted(model: torch.nn.Module) -> None:
    x, y = batches(1)[0]
    assert "crossfit=False" in refused(model, [(x[:1], y[:1])])
    graph = ea.trace(model, sample())
    assert ea.score(model, graph, [(x[:1], y[:1])], crossfit=False)


def test_halves_are_disjoint_and_whole() -> None:
    for number in (2, 3, 5):
        data = batches(number)
        one, other = parts(data, crossfit=True)
        seen = [*one, *other]
        assert len(seen) == number
        assert {id(x) for x, _ in one}.isdisjoint(id(x) for x, _ in other)
        assert {id(x) for x, _ in seen} == {id(x) for x, _ in data}
        assert [id(x) for x, _ in one] == [id(x) for x, _ in one]


def test_one_batch_is_parted_by_samples() -> None:
    x, y = batches(1, 7)[0]
    (a,), (b,) = (list(part) for part in parts([(x, y)], crossfit=True))
    assert torch.equal(torch.cat([a[1], b[1]]).sort().values, y.sort().values)
    assert (len(a[1]), len(b[1])) == (4, 3)
    assert torch.equal(a[0], x[::2])
    assert torch.equal(b[0], x[1::2])
    ((u, v), _), *_ = parts([((x, 2 * x), y)], crossfit=True)[1]
    assert torch.equal(2 * u, v)
    assert torch.equal(u, x[1::2])


def test_without_crossfit_both_are_all() -> None:
    data = batches(3)
    assert parts(data, crossfit=False) == (data, data)


class Once:
    """Looks at who reads: counts the batches of each pass."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        return iter(batches())


@pytest.mark.parametrize("criterion", LOOKING)
def test_any_iterable_will_do(model: torch.nn.Module, criterion: str) -> None:
    graph = ea.trace(model, sample())
    data = Once()
    found = ea.score(model, graph, data, criterion)
    again = ea.score(model, graph, batches(), criterion)
    assert [c.gain for c in found] == [c.gain for c in again]
    assert data.passes >= 2
    assert found.images == sum(len(y) for _, y in batches())  # type: ignore[attr-defined]

"""What is promised is kept where torch cannot differentiate twice, and beside in-place writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch as ea
from easearch.errors import ScoringError
from easearch.scoring import criterion


class Once(torch.autograd.Function):
    """A tanh without forward mode, whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g * (1 - torch.tanh(x) ** 2)


class Mute(torch.autograd.Function):
    """No backward pass at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.tanh(x)


def written(x: Tensor) -> Tensor:
    y = torch.tanh(x).clone()
    y[:, :, :2] = 2 * y[:, :, 1:3]
    return y


def part_scaled(x: Tensor) -> Tensor:
    y = torch.tanh(x)
    y[:, :, :2].mul_(2)
    return y


WAYS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "softmax of positions": (lambda x: x.softmax(-1), 8),
    "log-softmax": (lambda x: F.log_softmax(x, 2), 8),
    "gated channels": (lambda x: F.glu(x, 1), 4),
    "gated positions": (lambda x: F.glu(x, 2), 8),
    "no second derivative": (Once.apply, 8),
    "spread": (lambda x: x - x.std(-1, keepdim=True), 8),
    "written": (written, 8),
    "part scaled": (part_scaled, 8),
    "in place": (lambda x: x.view(x.shape).add_(1).tanh_(), 8),
}
SMALL = {"unit": 0.01, "unit-signed": 0.01, "s2d": 0.01}


class Net(nn.Module):
    """Two convolutions with something between them."""

    def __init__(self, way: Callable[[Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.way = way
        self.a, self.b = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(width, 6, 3, 1, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.b(self.way(self.a(x)))).mean((2, 3)))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(8, 3, 6, 6, generator=generator, dtype=torch.float64)
    return x, torch.arange(8) % 4


def made(way: Callable[[Tensor], Tensor], width: int) -> nn.Module:
    torch.manual_seed(1)
    return Net(way, width).double().eval()


@pytest.mark.parametrize("how", ["unit", "births", "gradmax", "unit-signed", "s2d", "firefly"])
@pytest.mark.parametrize("name", WAYS)
def test_what_is_promised_is_kept(name: str, how: str) -> None:
    model, (x, y) = made(*WAYS[name]), batch()
    graph = ea.trace(model, x)
    found = ea.score(
        model, graph, [(x, y)], criterion(how, step=SMALL.get(how, 0.002), crossfit=False)
    )
    assert {c.move.group for c in found} <= {g.name for g in graph.growable}
    best = [c for c in found if c.gain > 0.1 * found[0].gain > 0][:4]
    assert best
    before = float(F.cross_entropy(model(x), y).detach())
    for one in best:
        after = float(F.cross_entropy(ea.apply(model, graph, [one.move])(x), y).detach())
        assert (before - after) / one.gain == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("way", [0, 1, 2])
def test_every_way_gives_the_same_product(way: int) -> None:
    from easearch.scoring.samples.capture import Capturer
    from easearch.scoring.units.unit import Unit

    model, (x, y) = made(lambda x: torch.tanh(x), 8), batch()
    graph = ea.trace(model, x)
    unit = Unit(model, graph, graph.groups["a"])
    seen = Capturer(model, unit.entrances, unit.exits).capture(x, y, F.cross_entropy)
    generator = torch.Generator().manual_seed(2)
    v = torch.randn(unit.theta.shape, generator=generator, dtype=torch.float64)
    wanted = unit.product(v, seen)
    unit._ways = unit._ways[way:]
    found = unit.product(v, seen)
    assert (found - wanted).norm() <= 1e-3 * wanted.norm()


def test_no_gradient_at_all_is_one_sentence() -> None:
    model, (x, y) = made(Mute.apply, 8), batch()
    graph = ea.trace(model, x)
    with pytest.raises(ScoringError, match="gradient"):
        ea.score(model, graph, [(x, y)], "firefly")


def test_a_program_that_is_not_the_model_is_refused() -> None:
    """It counts its calls, and gives something else each time."""
    model, (x, y) = made(torch.tanh, 8), batch()
    graph = ea.trace(model, x)
    calls = iter(range(1000))

    class Drifting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) + next(calls)

    model.way = Drifting()
    for how in ("unit", "births", "firefly"):
        with pytest.raises(ScoringError, match=r"same each time|does not compute|trace"):
            ea.score(model, graph, [(x, y)], how)

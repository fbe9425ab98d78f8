"""Habits of well-known code: what can be followed grows in silence, the rest freezes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch as ea

Way = Callable[[Any, Tensor], Tensor]
WIDTH = 8


class Habit(nn.Module):
    """A way to go between two convolutions, with tensors of one's own."""

    def __init__(self, way: Way, first: nn.Module | None = None, **own: Any) -> None:
        super().__init__()
        self.way = way
        self.first = nn.Conv2d(3, WIDTH, 3, padding=1) if first is None else first
        self.last = nn.Conv2d(WIDTH, 4, 1)
        for name, value in own.items():
            if type(value) is Tensor:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.way(self, torch.tanh(self.first(x)))).mean((2, 3))


class FrozenNorm(nn.Module):
    """As torchvision and detectron write it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.rand(width) + 0.5)
        self.register_buffer("bias", torch.randn(width))
        self.register_buffer("running_mean", torch.randn(width))
        self.register_buffer("running_var", torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        w, b = self.weight.reshape(1, -1, 1, 1), self.bias.reshape(1, -1, 1, 1)
        rv, rm = self.running_var.reshape(1, -1, 1, 1), self.running_mean.reshape(1, -1, 1, 1)
        scale = w * (rv + 1e-5).rsqrt()
        return x * scale + (b - rm * scale)


class Residual(nn.Module):
    """Frozen norms in a residual stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 6, 3, padding=1), FrozenNorm(6)
        self.conv1, self.norm1 = nn.Conv2d(6, 5, 3, padding=1, bias=False), FrozenNorm(5)
        self.conv2, self.norm2 = nn.Conv2d(5, 6, 1, bias=False), FrozenNorm(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm0(self.stem(x)).tanh()
        x = x + self.norm2(self.conv2(self.norm1(self.conv1(x)).tanh()))
        return self.head(x.tanh().mean((2, 3)))


def own(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.rand(*shape) + 0.5)


def mapped(**settings: Any) -> nn.Module:
    return nn.Conv2d(3, WIDTH, 3, padding=1, **settings)


def generator() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 64, WIDTH * 64), nn.Unflatten(1, (WIDTH, 8, 8))
    )


GROWS: dict[str, Callable[[], nn.Module]] = {
    "buffer.reshape": lambda: Habit(lambda s, x: x * s.w.reshape(1, -1, 1, 1), w=torch.rand(8)),
    "parameter.view": lambda: Habit(lambda s, x: x * s.w.view(1, -1, 1, 1), w=own(8)),
    "view by the size of another": lambda: Habit(
        lambda s, x: x * s.w.view(1, x.shape[1], 1, 1), w=own(8)
    ),
    "parameter[None]": lambda: Habit(lambda s, x: x + s.w[None, :, None, None], w=own(8)),
    "unsqueezed twice": lambda: Habit(lambda s, x: x - s.w.unsqueeze(-1).unsqueeze(-1), w=own(8)),
    "softplus": lambda: Habit(lambda s, x: x * F.softplus(s.w), w=own(8, 1, 1)),
    "exp in front": lambda: Habit(lambda s, x: s.w.exp()[:, None, None] * x, w=own(8)),
    "sigmoid, divided": lambda: Habit(lambda s, x: x / s.w.sigmoid().view(-1, 1, 1), w=own(8)),
    "expanded": lambda: Habit(lambda s, x: x * s.w.expand(x.shape[0], -1, 1, 1), w=own(1, 8, 1, 1)),
    "expanded as": lambda: Habit(lambda s, x: x + s.w.expand_as(x), w=own(8, 1, 1)),
    "computed and expanded as": lambda: Habit(
        lambda s, x: x * s.w.view(1, -1, 1, 1).expand_as(x), w=own(8)
    ),
    "of another type": lambda: Habit(lambda s, x: x * s.w.to(x.dtype).view(-1, 1, 1), w=own(8)),
    "two tables of one": lambda: Habit(
        lambda s, x: x * s.w[0].view(-1, 1, 1) + s.w[1].view(-1, 1, 1), w=own(2, 8)
    ),
    "positions of one's own": lambda: Habit(
        lambda s, x: x + s.w.unsqueeze(0).expand(x.shape[0], -1, -1, -1), w=own(1, 8, 8)
    ),
    "a scalar that is worked out": lambda: Habit(lambda s, x: x * s.w.exp(), w=own(1)),
    "frozen norms in a stream": Residual,
    "reflected": lambda: Habit(lambda s, x: x, mapped(padding_mode="reflect")),
    "circular": lambda: Habit(lambda s, x: x, mapped(padding_mode="circular")),
    "replicated depthwise": lambda: Habit(
        lambda s, x: s.d(x), d=nn.Conv2d(8, 8, 3, padding=1, groups=8, padding_mode="replicate")
    ),
    "generator": lambda: Habit(lambda s, x: x, generator()),
    "expand_as": lambda: Habit(lambda s, x: x * x.mean((2, 3), keepdim=True).expand_as(x)),
    "view_as": lambda: Habit(lambda s, x: x.flatten(2).view_as(x)),
    "reshape_as": lambda: Habit(lambda s, x: x.flatten(2).sigmoid().reshape_as(x)),
    "zeros_like": lambda: Habit(lambda s, x: torch.where(x > 0, x, torch.zeros_like(x))),
    "where": lambda: Habit(lambda s, x: torch.where(x > 0, x, 0.1 * x)),
    "where of numbers": lambda: Habit(lambda s, x: torch.where(x > 0, x, -0.5)),
    "where as a method": lambda: Habit(lambda s, x: x.where(x.abs() < 0.5, x * 0.3)),
    "where of a parameter": lambda: Habit(
        lambda s, x: torch.where(x > 0, x, s.w * x), w=own(8, 1, 1)
    ),
    "masked_fill": lambda: Habit(lambda s, x: x.masked_fill(x < -0.2, 0.0)),
    "mask of channels": lambda: Habit(
        lambda s, x: torch.where(s.w.view(1, -1, 1, 1) > 0.9, x, 0.2 * x), w=torch.rand(8) + 0.5
    ),
    "maximum": lambda: Habit(lambda s, x: torch.maximum(x, 0.1 * x)),
    "maximum of a scalar parameter": lambda: Habit(lambda s, x: torch.maximum(x, s.w), w=own(1)),
    "minimum of a parameter": lambda: Habit(
        lambda s, x: torch.min(x, s.w.view(-1, 1, 1)), w=own(8)
    ),
    "lerp": lambda: Habit(lambda s, x: torch.lerp(x, x.relu(), 0.3)),
    "lerp of a parameter": lambda: Habit(
        lambda s, x: torch.lerp(x, x.sin(), s.w.sigmoid()), w=own(8, 1, 1)
    ),
    "addcmul": lambda: Habit(lambda s, x: torch.addcmul(x, x.sigmoid(), x, value=0.5)),
    "bounds": lambda: Habit(lambda s, x: torch.clamp(x, min=-s.w, max=s.w), w=own(8, 1, 1)),
    "generalised mean": lambda: Habit(
        lambda s, x: x.clamp(min=1e-3).pow(s.w).mean((2, 3), keepdim=True).pow(1.0 / s.w), w=own(1)
    ),
    "roll": lambda: Habit(lambda s, x: x.roll((1, 2), (2, 3))),
    "flip": lambda: Habit(lambda s, x: torch.flip(x, [2, 3])),
    "narrow": lambda: Habit(lambda s, x: x.narrow(3, 1, 4)),
    "cumsum": lambda: Habit(lambda s, x: x.cumsum(dim=-1)),
    "sort": lambda: Habit(lambda s, x: x.flatten(2).sort(2)[0].unsqueeze(-1)),
    "topk": lambda: Habit(lambda s, x: x.flatten(2).topk(5, dim=2)[0].unsqueeze(-1)),
    "normalised positions": lambda: Habit(
        lambda s, x: F.normalize(x.flatten(2), dim=-1).unsqueeze(-1)
    ),
    "grid_sample": lambda: Habit(
        lambda s, x: F.grid_sample(x, s.g.expand(x.shape[0], 4, 4, 2), align_corners=False),
        g=torch.rand(1, 4, 4, 2) - 0.5,
    ),
    "sub-spectral norm": lambda: Habit(
        lambda s, x: s.n(x.view(x.size(0), x.size(1) * 2, 4, 8)).view(x.size(0), x.size(1), 8, 8),
        n=nn.BatchNorm2d(16),
    ),
    # einops' patterns as the operations that they become
    "rearrange to tokens and back": lambda: Habit(
        lambda s, x: (
            x.reshape(x.shape[0], x.shape[1], -1)
            .permute(0, 2, 1)
            .tanh()
            .permute(0, 2, 1)
            .reshape(x.shape[0], x.shape[1], 8, 8)
        )
    ),
    "reduce windows": lambda: Habit(
        lambda s, x: x.reshape(x.shape[0], x.shape[1], 4, 2, 4, 2).amax((3, 5))
    ),
    "repeat positions": lambda: Habit(
        lambda s, x: x.mean((2, 3))[:, :, None, None].expand(-1, -1, 4, 4)
    ),
}


def moves_of(graph: ea.Graph) -> list[Any]:
    """Splits with signs, new neurons, and one removed channel in every second group."""
    moves: list[Any] = []
    for number, group in enumerate(graph.growable):
        moves.append(ea.Split(group=group.name, channel=0, shares=(1.5, -0.5)))
        moves.append(ea.Split(group=group.name, channel=group.width - 1, shares=(0.2, 0.3, 0.5)))
        moves += [ea.NewNeuron(group=group.name)] * (1 + number % 2)
    return moves


def settled(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = build().double()
    model.train()(torch.randn(8, 3, 8, 8, dtype=torch.float64))
    return model.eval()


@pytest.mark.parametrize("habit", GROWS)
def test_what_can_be_followed_grows_in_silence(habit: str) -> None:
    model, x = settled(GROWS[habit]), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    graph = ea.trace(model, x)
    assert all("the network's" in g.frozen for g in graph.channel_groups if g.frozen)
    assert graph.growable
    moves = moves_of(graph)
    wider = ea.apply(model, graph, moves)
    assert ea.trace(wider, x) == graph.after(moves)
    expected = model(x)
    assert torch.allclose(wider(x), expected, rtol=1e-9, atol=1e-9)
    assert torch.allclose(wider.train()(x), model.train()(x), rtol=1e-9, atol=1e-9)
    model.eval()
    assert ea.measure(graph, ["params"])["params"].total == sum(
        p.numel() for p in model.parameters()
    )
    target = torch.zeros(2, 4, dtype=torch.float64)
    for criterion in ("unit", "births"):
        found = ea.score(model, graph, [(x, target)], criterion, loss=F.mse_loss)
        assert {one.move.group for one in found} == {g.name for g in graph.growable}


FREEZES: dict[str, Callable[[], nn.Module]] = {
    "a size in the code": lambda: Habit(lambda s, x: x * s.w.view(1, 8, 1, 1), w=own(8)),
    "over another axis": lambda: Habit(
        lambda s, x: (
            (x.transpose(1, 3) * s.w.view(1, 8, 1, 1)).transpose(1, 3) * s.w.view(1, -1, 1, 1)
        ),
        w=own(8),
    ),
    "mean of a parameter": lambda: Habit(
        lambda s, x: x * (s.w / s.w.mean()).view(-1, 1, 1), w=own(8)
    ),
    "largest of a parameter": lambda: Habit(
        lambda s, x: x * (s.w / s.w.max()).view(-1, 1, 1), w=own(8)
    ),
    "softmax of a parameter": lambda: Habit(
        lambda s, x: x * s.w.softmax(0).view(-1, 1, 1), w=own(8)
    ),
    "a parameter turned round": lambda: Habit(
        lambda s, x: x * s.w.flip(0).view(-1, 1, 1), w=own(8)
    ),
    "a parameter's halves": lambda: Habit(
        lambda s, x: x * torch.cat([s.w[4:], s.w[:4]]).view(-1, 1, 1), w=own(8)
    ),
    "a number of another size": lambda: Habit(lambda s, x: x * (s.w / x.shape[1]), w=own(1)),
    "channels rolled": lambda: Habit(lambda s, x: x.roll(1, 1)),
    "channels and positions rolled": lambda: Habit(lambda s, x: x.roll((1, 1), (1, 3))),
    "everything rolled": lambda: Habit(lambda s, x: x.roll(1)),
    "channels turned": lambda: Habit(lambda s, x: x.flip(1, 2)),
    "channels narrowed": lambda: Habit(lambda s, x: x.narrow(1, 0, 8)[:, :8] * 1, None),
    "channels summed up": lambda: Habit(lambda s, x: x.cumsum(1)),
    "channels sorted": lambda: Habit(lambda s, x: x.sort(1)[0]),
    "channels normalised": lambda: Habit(lambda s, x: F.normalize(x)),
    "one channel for all": lambda: Habit(
        lambda s, x: x * s.gate(x).expand_as(x), gate=nn.Conv2d(8, 1, 1)
    ),
    "a ramp": lambda: Habit(lambda s, x: x * torch.arange(8.0).view(-1, 1, 1)),
    "a mask by number": lambda: Habit(
        lambda s, x: torch.where(torch.arange(8).view(-1, 1, 1) < 4, x, 0.1 * x)
    ),
}


@pytest.mark.parametrize("habit", FREEZES)
def test_what_cannot_be_followed_freezes(habit: str) -> None:
    model, x = settled(FREEZES[habit]), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    graph = ea.trace(model, x)
    if habit == "channels narrowed":  # all of them: they stay as many as the code says
        return
    assert graph.groups["first"].frozen or "gate" in graph.groups
    moves = moves_of(graph)
    wider = ea.apply(model, graph, moves)
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)
    assert ea.trace(wider, x).widths == graph.after(moves).widths

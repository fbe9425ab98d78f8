"""Kinds of layers: their work is what others count; what no kind knows freezes, with a reason."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import easearch as ea
from easearch.tracing import KINDS
from easearch.tracing.kind import Role

MAPS, LINES, VECTORS = (2, 6, 9, 7), (2, 6, 9), (2, 6)


class Called(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


Case = tuple[Callable[[], nn.Module], tuple[int, ...]]
EXAMPLES: dict[str, list[Case]] = {
    "conv": [
        (lambda: nn.Conv2d(6, 5, (3, 2), (2, 1), (1, 0)), MAPS),
        (lambda: nn.Conv2d(6, 5, 3, padding=2, dilation=2, bias=False), MAPS),
        (lambda: nn.Conv1d(6, 5, 3, padding=1), LINES),
    ],
    "depthwise": [
        (lambda: nn.Conv2d(6, 6, 3, 2, 1, groups=6), MAPS),
        (lambda: nn.Conv1d(6, 6, 3, groups=6, bias=False), LINES),
    ],
    "linear": [
        (lambda: nn.Linear(6, 5), VECTORS),
        (lambda: nn.Linear(6, 5, bias=False), VECTORS),
    ],
    "batch_norm": [
        (lambda: nn.BatchNorm2d(6), MAPS),
        (lambda: nn.BatchNorm1d(6), LINES),
        (lambda: nn.BatchNorm1d(6, affine=False), VECTORS),
    ],
    "activation": [
        *((made, MAPS) for made in (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh)),
        (lambda: Called(torch.relu), MAPS),
        (lambda: Called(lambda x: x.sigmoid()), VECTORS),
        (lambda: Called(lambda x: F.relu(x, inplace=False)), LINES),
    ],
    "pool": [
        (lambda: nn.MaxPool2d(2, ceil_mode=True), MAPS),
        (lambda: nn.AvgPool2d((3, 2), 1, 1), MAPS),
    ],
    "global_pool": [
        (lambda: nn.AdaptiveAvgPool2d(1), MAPS),
        (lambda: Called(lambda x: x.mean((2, 3))), MAPS),
        (lambda: Called(lambda x: torch.mean(x, dim=(-2, -1), keepdim=True)), MAPS),
    ],
    "flatten": [
        (lambda: nn.Flatten(), MAPS),
        (lambda: Called(lambda x: torch.flatten(x, 1)), LINES),
        (lambda: Called(lambda x: x.flatten(1)), MAPS),
    ],
    "identity": [(lambda: nn.Identity(), MAPS), (lambda: nn.Dropout(0.3), VECTORS)],
    "add": [
        (lambda: Called(lambda x: x + x.relu()), MAPS),
        (lambda: Called(lambda x: torch.add(x, x.relu())), VECTORS),
        (lambda: Called(lambda x: operator.iadd(x.relu(), x)), MAPS),
    ],
}
"""For every kind there is, ways to meet it. A new kind is met here too: the first test asks."""
CASES = [(kind, number) for kind in EXAMPLES for number in range(len(EXAMPLES[kind]))]


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS)


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_work_and_size_are_what_others_count(kind: str, number: int) -> None:
    build, shape = EXAMPLES[kind][number]
    model, x = build().double().eval(), torch.zeros(1, *shape[1:], dtype=torch.float64)
    wrapped = nn.Sequential(model)
    graph = ea.trace(wrapped, x)
    met = [layer for layer in graph.layers if layer.kind == kind]
    assert met, f"the example is {[layer.kind for layer in graph.layers]}"
    shapes = [graph.shape(layer.name) for layer in met]
    counted = FlopCountAnalysis(wrapped, x)
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operators = counted.by_operator()
    macs = sum(KINDS[kind].macs(shape) for shape in shapes)
    assert macs == operators["conv"] + operators["linear"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = wrapped(x)
    assert macs == counter.get_total_flops() / 2
    own = sum(parameter.numel() for parameter in wrapped.parameters())
    assert sum(KINDS[kind].params(shape) for shape in shapes) == own
    last = graph.shape(graph.layers[-1].name)
    assert (last.out_channels, *last.out_size) == tuple(out.shape[1:])


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_what_follows_or_ties_keeps_channels_apart(kind: str, number: int) -> None:
    """The role is no opinion: a channel of the input reaches no other channel's columns."""
    build, shape = EXAMPLES[kind][number]
    model = build().double().eval()
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = x.clone()
    moved[:, 2] += 1.0
    with torch.no_grad():
        changed = (model(moved) - model(x)).abs()
    by_column = changed.transpose(0, 1).flatten(1).amax(1) > 0
    columns = by_column.nonzero().flatten().tolist()
    taps = len(by_column) // 6
    inside = set(range(2 * taps, 3 * taps))
    if KINDS[kind].role is Role.MIXES:
        assert len(columns) == len(by_column)
    else:
        assert columns
        assert set(columns) <= inside


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_a_kind_are_its_modules_own(kind: str) -> None:
    """Every tensor of the module with a channel axis is named, at the axis where it stands."""
    one = KINDS[kind]
    for build, _ in EXAMPLES[kind]:
        module = build()
        tensors = dict(module.state_dict(keep_vars=True))
        wide = {name for name, value in tensors.items() if value.dim() > 0}
        if type(module) in one.modules:
            assert wide <= set(one.out_axes) | set(one.in_axes)
        for name in wide & set(one.out_axes):
            outs = 6 if one.role is not Role.MIXES else 5
            assert tensors[name].shape[one.out_axes[name]] == outs
        for name in wide & set(one.in_axes):
            assert tensors[name].shape[one.in_axes[name]] == 6


class Between(nn.Module):
    """Something between two convolutions, whose channels it touches."""

    def __init__(self, middle: Callable[[nn.Module, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 1)
        self.last = nn.Conv2d(6, 4, 1)
        self.middle = middle
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.middle(self, self.first(x))))


UNKNOWN: dict[str, tuple[Between, str]] = {
    "a module that no kind knows": (
        Between(lambda net, x: net.prelu(x), prelu=nn.PReLU(6)),
        "'prelu' (PReLU)",
    ),
    "layer norm": (
        Between(lambda net, x: net.norm(x), norm=nn.GroupNorm(2, 6)),
        "'norm' (GroupNorm)",
    ),
    "a grouped convolution": (
        Between(lambda net, x: net.halves(x), halves=nn.Conv2d(6, 6, 1, groups=2)),
        "'halves' (Conv2d)",
    ),
    "a broadcast addition": (
        Between(lambda net, x: x + x.mean((2, 3), keepdim=True)),
        "'add' (add)",
    ),
    "a number added": (Between(lambda net, x: x + 1.0), "'add' (add)"),
    "a scaled addition": (Between(lambda net, x: torch.add(x, x.relu(), alpha=2)), "'add' (add)"),
    "a product with a number": (Between(lambda net, x: 2.0 * x), "'mul' (mul)"),
    "a product of two": (Between(lambda net, x: x * x.sigmoid()), "'mul' (mul)"),
    "channels put together": (
        Between(lambda net, x: torch.cat([x[:, :3], x[:, 3:]], 1)),
        "(getitem)",
    ),
    "channels exchanged": (Between(lambda net, x: x.flip(1)), "'flip' (flip)"),
    "a mean over channels": (
        Between(lambda net, x: x - x.mean((1, 2), keepdim=True)),
        "(mean)",
    ),
    "a softmax over channels": (
        Between(lambda net, x: F.softmax(x, 1)),
        "(softmax)",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_no_kind_knows_freezes_what_it_touches(case: str) -> None:
    model, told = UNKNOWN[case]
    model = model.double()
    x = torch.randn(2, 1, 8, 8).double()
    graph = ea.trace(model, x)
    touched = graph.groups["first"]
    assert touched.frozen is not None
    assert told in touched.frozen
    assert "cannot follow" in touched.frozen
    assert graph.groups["second"].frozen is None
    # and what is left to grow keeps the function
    moves = [ea.Split(group="second", channel=c) for c in (0, 3)]
    wider = ea.apply(model, graph, moves)
    assert torch.allclose(wider(x), model(x))
    assert ea.trace(wider, x) == graph.after(moves)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 1)
        self.free, self.last = nn.Conv2d(6, 5, 1), nn.Conv2d(5, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.free(self.again(torch.relu(self.again(self.first(x))))))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.two = (
            nn.Conv2d(1, 6, 3),
            nn.Conv2d(6, 6, 1, bias=False),
            nn.Conv2d(6, 6, 1, bias=False),
        )
        self.two.weight = self.one.weight
        self.free, self.last = nn.Conv2d(6, 5, 1), nn.Conv2d(5, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.free(self.two(torch.relu(self.one(self.first(x))))))


@pytest.mark.parametrize(
    ("make", "told"),
    [(Twice, "'again' is called 2 times"), (Tied, "shares a parameter with another layer")],
)
def test_one_width_for_two_uses_is_frozen(make: Callable[[], nn.Module], told: str) -> None:
    graph = ea.trace(make(), torch.zeros(1, 1, 8, 8))
    reasons = {group.name: group.frozen for group in graph.channel_groups}
    assert [name for name, why in reasons.items() if why is None] == ["free"]
    why = [why for why in reasons.values() if why is not None and told in why]
    assert len(why) >= 2


def test_a_norm_called_twice_freezes_its_group() -> None:
    norm = nn.BatchNorm2d(6)
    model = Between(lambda net, x: net.norm(torch.relu(net.norm(x))), norm=norm)
    graph = ea.trace(model, torch.zeros(2, 1, 8, 8))
    assert graph.groups["first"].frozen == "'norm' is called 2 times"
    assert graph.groups["second"].frozen is None


class Own(nn.Module):
    """A parameter of the network's own, added to a value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 4, 1)
        self.shift = nn.Parameter(torch.zeros(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x) + self.shift)


def test_a_bare_parameter_freezes_what_it_is_added_to() -> None:
    graph = ea.trace(Own(), torch.zeros(1, 1, 8, 8))
    assert "'add' (add)" in (graph.groups["first"].frozen or "")
    assert not graph.growable

"""What a layer leaves free to grow, and what it freezes, with which reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch as ea

Middle = Callable[[Any, Tensor], Tensor]


class Between(nn.Module):
    """A layer between two convolutions, whose channels it touches."""

    def __init__(self, middle: Middle, part: nn.Module | None = None, exports: bool = False):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.LazyConv2d(5, 1)
        self.last, self.part = nn.Conv2d(5, 4, 1), part
        self.middle, self.exports = middle, exports

    def forward(self, x: Tensor) -> Tensor:
        # A decision that fx refuses, and torch.export takes as it is in the sample.
        if self.exports and x.shape[1] > 1:
            return self.last(self.second(self.middle(self.part, self.first(x))))
        return self.last(self.second(self.middle(self.part, self.first(x))))


def call(part: Any, x: Tensor) -> Tensor:
    return part(x)


FREE: dict[str, tuple[Middle, Callable[[], nn.Module] | None]] = {
    "leaky relu": (lambda _, x: F.leaky_relu(x, 0.2), None),
    "clamp": (lambda _, x: x.clamp(-1, 1), None),
    "prelu": (call, partial(nn.PReLU, 6)),
    "prelu of one slope": (call, nn.PReLU),
    "instance norm": (call, partial(nn.InstanceNorm2d, 6, affine=True, track_running_stats=True)),
    "group norm": (call, partial(nn.GroupNorm, 3, 6)),
    "layer norm of positions": (call, partial(nn.LayerNorm, (8, 8))),
    "rms norm of positions": (call, partial(nn.RMSNorm, (8, 8))),
    "gated linear unit": (lambda _, x: F.glu(x, 1), None),
    "max pool": (lambda _, x: F.max_pool2d(x, 2), None),
    "adaptive pool": (lambda _, x: F.adaptive_max_pool2d(x, 3), None),
    "mean of rows": (lambda _, x: x.mean(2, keepdim=True), None),
    "maximum of rows": (lambda _, x: x.amax(2, keepdim=True), None),
    "transposed convolution": (call, partial(nn.ConvTranspose2d, 6, 7, 3, 2)),
    "transposed convolution of groups": (
        call,
        partial(nn.ConvTranspose2d, 6, 6, 3, groups=3, bias=False),
    ),
    "interpolation": (
        lambda _, x: F.interpolate(x, size=x.shape[2:], mode="bilinear", align_corners=True),
        None,
    ),
    "a bound that is a tensor": (
        lambda _, x: torch.clamp(x, max=x.mean((2, 3), keepdim=True)),
        None,
    ),
    "padding": (lambda _, x: F.pad(x, (1, 0, 2, 1)), None),
    "softmax of positions": (lambda _, x: x.softmax(-1), None),
    "dropout": (call, nn.Dropout2d),
    "copies": (lambda _, x: x.contiguous().clone().float().to(x.dtype), None),
}


def built(
    middle: Middle, make: Callable[[], nn.Module] | None, exports: bool = False
) -> tuple[Between, Tensor]:
    torch.manual_seed(0)
    model = Between(middle, make() if make is not None else None, exports).double().eval()
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        model(x)  # widths of the lazy layer
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model, x


@pytest.mark.parametrize("case", FREE)
def test_what_can_be_followed_grows_and_keeps_its_function(case: str) -> None:
    model, x = built(*FREE[case])
    graph = ea.trace(model, x)
    assert [group.frozen for group in graph.channel_groups if group.name == "first"] == [None]
    moves = [
        ea.Split(group=group.name, channel=channel)
        for group in graph.growable
        for channel in {0, group.width - 1}
    ]
    wider = ea.apply(model, graph, moves)
    assert ea.trace(wider, x) == graph.after(moves)
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)


REFUSED: dict[str, tuple[Middle, Callable[[], nn.Module] | None, str]] = {
    "group norm of one group": (call, partial(nn.GroupNorm, 1, 6), "over all channels"),
    "layer norm of channels": (call, partial(nn.LayerNorm, (6, 8, 8)), "over the channels"),
    "group norm by number": (lambda _, x: F.group_norm(x, 3), None, "number of groups of a norm"),
    "mean of channels": (lambda _, x: x.mean(1, keepdim=True), None, "mixes the channels"),
    "mean of samples": (lambda _, x: x.mean(0, keepdim=True), None, "samples of a batch"),
    "softmax of channels": (lambda _, x: x.softmax(1), None, "a softmax over the channels"),
    "padded channels": (lambda _, x: F.pad(x, (0, 0, 0, 0, 1, 1)), None, "adds channels"),
    "transposed groups of other widths": (
        call,
        partial(nn.ConvTranspose2d, 6, 9, 2, groups=3),
        "2 inputs and 3 outputs",
    ),
    "transposed groups by number": (
        lambda part, x: F.conv_transpose2d(x, part.weight, groups=3),
        partial(nn.ConvTranspose2d, 6, 6, 2, groups=3, bias=False),
        "the code names the number of groups, 3",
    ),
    "inner products": (lambda _, x: x @ x.transpose(2, 3), None, "inner products"),
    "attention": (
        lambda _, x: F.scaled_dot_product_attention(x, x, x),
        None,
        "attention heads keep their width",
    ),
    "places of maxima": (lambda _, x: x.max(2)[1].double()[:, :, None], None, "gives positions"),
    "whole numbers": (lambda _, x: x.to(torch.int64).double(), None, "cannot follow"),
    "a power of channels": (lambda _, x: 2**x, None, "cannot follow"),
    "response norm": (call, partial(nn.LocalResponseNorm, 3), "cannot follow"),
    "channels turned round": (lambda _, x: x.flip(1), None, "goes over the channels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_freezes_what_it_touches(case: str) -> None:
    middle, make, told = REFUSED[case]
    model, x = built(middle, make)
    graph = ea.trace(model, x)
    assert told in (graph.groups["first"].frozen or "nothing")
    # what is left to grow keeps the function
    moves = [ea.Split(group="second", channel=c) for c in (0, 3)]
    wider = ea.apply(model, graph, moves)
    assert torch.allclose(wider(x), model(x), rtol=1e-9, atol=1e-9)
    assert ea.trace(wider, x) == graph.after(moves)


@pytest.mark.parametrize("exports", [False, True])
def test_maxima_are_channels_where_their_places_are_unused(exports: bool) -> None:
    model, x = built(lambda _, x: x.max(2)[0][:, :, None], None, exports)
    assert ea.trace(model, x).groups["first"].frozen is None


def test_a_function_of_another_package_is_known_by_its_name() -> None:
    """Without the package: a function that says that it is torchvision's."""

    def stochastic_depth(x: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
        return x

    from easearch.tracing.call import Call
    from easearch.tracing.registry import kind_of

    seen = Call(module=None, target=stochastic_depth, out_shape=(2, 6))
    assert kind_of(seen) is None
    stochastic_depth.__module__ = "torchvision.ops.stochastic_depth"
    found = kind_of(seen)
    assert found is not None
    assert found.name == "identity"

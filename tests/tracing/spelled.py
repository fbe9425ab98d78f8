"""Ways to write an element-wise function; and how a way is written down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LINES, MAPS, VOLUMES = (2, 6, 9), (2, 6, 8, 7), (2, 6, 4, 5, 6)
Spelling = Callable[..., Any]


class Weighted(nn.Module):
    """A function with the parameters of a module that is not called itself."""

    def __init__(self, owner: nn.Module, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.owner, self.function = owner, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.owner, x)


def weighted(make: Callable[[], nn.Module], function: Callable[[Any, Tensor], Tensor]) -> Spelling:
    return lambda: Weighted(make(), function)


def plain(function: Callable[[Tensor], Any]) -> Spelling:
    """A function without parameters, behind the same door."""
    return lambda: Weighted(nn.Module(), lambda _, x: function(x))


def activations() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    found: dict[str, list[Spelling]] = {
        "silu": [nn.SiLU, plain(F.silu), partial(nn.SiLU, inplace=True)],
        "relu": [
            *(nn.ReLU, plain(F.relu), plain(torch.relu), plain(lambda x: x.relu())),
            *(plain(lambda x: x.relu_()), plain(lambda x: x.clamp(min=0))),
            *(plain(lambda x: F.relu(x, inplace=True)), plain(lambda x: torch.clamp_min(x, 0))),
        ],
        "relu6": [
            *(nn.ReLU6, plain(F.relu6), plain(lambda x: x.clamp(0, 6))),
            *(partial(nn.Hardtanh, 0, 6), plain(lambda x: F.hardtanh(x, 0, max_val=6.0))),
        ],
        "hardswish": [nn.Hardswish, plain(F.hardswish)],
        "sigmoid": [nn.Sigmoid, plain(torch.sigmoid), plain(lambda x: x.sigmoid_())],
        "tanh": [nn.Tanh, plain(torch.tanh), plain(F.tanh), plain(lambda x: x.tanh())],
        "gelu": [nn.GELU, plain(F.gelu)],
        "gelu of tanh": [
            partial(nn.GELU, approximate="tanh"),
            plain(lambda x: F.gelu(x, approximate="tanh")),
        ],
        "leaky_relu": [nn.LeakyReLU, plain(F.leaky_relu), plain(lambda x: F.leaky_relu(x, 0.01))],
        "leaky_relu of slope": [
            partial(nn.LeakyReLU, 0.2, inplace=True),
            plain(lambda x: F.leaky_relu(x, negative_slope=0.2)),
            plain(lambda x: F.leaky_relu_(x, 0.2)),
        ],
        "elu": [partial(nn.ELU, 0.5), plain(lambda x: F.elu(x, 0.5))],
        "selu": [nn.SELU, plain(F.selu), plain(torch.selu)],
        "celu": [partial(nn.CELU, 2), plain(lambda x: F.celu(x, alpha=2))],
        "mish": [nn.Mish, plain(F.mish)],
        "softplus": [partial(nn.Softplus, 2, 10), plain(lambda x: F.softplus(x, 2, threshold=10))],
        "hardsigmoid": [nn.Hardsigmoid, plain(F.hardsigmoid)],
        "clamp": [
            *(nn.Hardtanh, plain(F.hardtanh), plain(lambda x: x.clamp(-1, 1))),
            *(plain(lambda x: torch.clamp(x, max=1, min=-1.0)), plain(lambda x: x.clip_(-1, 1))),
        ],
        "clamp to one": [partial(nn.Hardtanh, 0, 1), plain(lambda x: F.hardtanh(x, 0, 1))],
        "clamp from above": [plain(lambda x: x.clamp(max=2)), plain(lambda x: x.clamp_max(2.0))],
        "logsigmoid": [nn.LogSigmoid, plain(F.logsigmoid)],
        "softshrink": [nn.Softshrink, plain(F.softshrink), plain(lambda x: F.softshrink(x, 0.5))],
        "threshold": [partial(nn.Threshold, 0.5, 0), plain(lambda x: F.threshold(x, 0.5, 0.0))],
        "abs": [plain(torch.abs), plain(abs), plain(lambda x: x.abs_())],
        "neg": [plain(torch.neg), plain(lambda x: -x), plain(lambda x: x.neg())],
        "pow": [plain(lambda x: x**2), plain(lambda x: x.pow(2)), plain(lambda x: torch.pow(x, 2))],
    }
    for name in ("exp", "log", "sqrt", "erf", "sin", "cos", "square", "rsqrt", "log1p", "expm1"):
        found[name] = [plain(getattr(torch, name)), plain(lambda x, n=name: getattr(x, n)())]
    return {f"activation: {name}": (MAPS, spelled) for name, spelled in found.items()}

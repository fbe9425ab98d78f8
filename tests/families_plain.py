"""Small networks as users write them: kinds of layers, norms and activations, parameters of one's
own, branches and additions. Widths differ wherever they may, so that a mix-up shows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 5


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


def pooled(channels: int) -> nn.Module:
    """A head: the mean over positions, then the logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def _mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Linear(12, 9),
        nn.ReLU(),
        nn.Linear(9, CLASSES),
    )


def _conv1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 6, 5, stride=2, padding=2),
        nn.BatchNorm1d(6),
        nn.SiLU(),
        nn.AvgPool1d(2),
        nn.Conv1d(6, 9, 3, padding=1),
        nn.BatchNorm1d(9),
        nn.SiLU(),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Linear(9 * 4, CLASSES),
    )


def _conv3d() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(2, 5, 3, padding=1),
        nn.BatchNorm3d(5),
        nn.SiLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(5, 7, (1, 3, 3), padding=(0, 1, 1)),
        nn.BatchNorm3d(7),
        nn.SiLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(7, CLASSES),
    )


def _transposed() -> nn.Module:
    return nn.Sequential(
        conv(3, 6, stride=2),
        conv(6, 10, stride=2),
        nn.ConvTranspose2d(10, 7, 4, 2, 1),
        nn.BatchNorm2d(7),
        nn.SiLU(),
        nn.ConvTranspose2d(7, 4, 2, 2),
        nn.Tanh(),
        pooled(4),
    )


def _grouped() -> nn.Module:
    """Two inputs and three outputs a group."""
    return nn.Sequential(conv(3, 8), conv(8, 12, groups=4), conv(12, 9, 1), pooled(9))


def _multiplier() -> nn.Module:
    """A depthwise convolution that writes two channels for each it reads."""
    return nn.Sequential(conv(3, 6), conv(6, 12, groups=6), conv(12, 7, 1), pooled(7))


def _group_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.GroupNorm(3, 12),
        nn.SiLU(),
        nn.Conv2d(12, 8, 3, padding=1),
        nn.GroupNorm(4, 8),
        nn.SiLU(),
        nn.Conv2d(8, 7, 1),
        nn.GroupNorm(1, 7),
        nn.SiLU(),
        pooled(7),
    )


def _instance_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.InstanceNorm2d(6, affine=True),
        nn.SiLU(),
        nn.Conv2d(6, 9, 3, padding=1),
        nn.InstanceNorm2d(9, affine=True, track_running_stats=True),
        nn.SiLU(),
        pooled(9),
    )


def _layer_norm_positions() -> nn.Module:
    """The norm is over a channel's pixels: its scale belongs to positions, not to channels."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.LayerNorm([8, 8]),
        nn.SiLU(),
        nn.Conv2d(6, 9, 3, 2, padding=1),
        nn.LayerNorm([4, 4]),
        nn.SiLU(),
        pooled(9),
    )


def _prelu() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.PReLU(6),
        nn.Conv2d(6, 9, 3, padding=1),
        nn.BatchNorm2d(9),
        nn.PReLU(),
        pooled(9),
    )


def _activated(activation: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        activation(),
        nn.Conv2d(6, 9, 3, padding=1, bias=False),
        nn.BatchNorm2d(9),
        activation(),
        pooled(9),
    )


class Concat(nn.Module):
    """Two branches side by side, and a wide stream added to both at once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.left, self.right, self.wide = conv(6, 5), conv(6, 7, 1), conv(6, 12)
        self.mix, self.head = conv(12, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        both = torch.cat([self.left(x), self.right(x)], dim=1)
        return self.head(self.mix(both + self.wide(x)))


class ConcatOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 5), conv(3, 7, 1)
        self.mix, self.head = conv(12, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mix(torch.cat((self.left(x), self.right(x)), 1)))


class SpatialGate(nn.Module):
    """One mask for all channels of a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mask = conv(3, 8), nn.Conv2d(8, 1, 3, padding=1)
        self.mix, self.head = conv(8, 6), pooled(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.mix(torch.sigmoid(self.mask(x)) * x))


class Scalars(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = conv(3, 6), conv(6, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x) * 0.5 + 1
        x = -(1 - self.two(x)) / 2
        return self.head(x)


class LayerScale(nn.Module):
    """A residual branch under a scale of its own for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = conv(3, 8), nn.Sequential(conv(8, 6), conv(6, 8))
        self.gamma = nn.Parameter(0.5 * torch.ones(8, 1, 1))
        self.head = pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(x + self.gamma * self.branch(x))


class BiasParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bias = nn.Parameter(0.1 * torch.randn(1, 8, 1, 1))
        self.mix, self.head = conv(8, 6), pooled(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mix(torch.tanh(self.stem(x) + self.bias)))


class Functional(nn.Module):
    """The module owns the tensors and calls the functions itself."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(0.3 * torch.randn(6, 3, 3, 3))
        self.kernel_bias = nn.Parameter(torch.zeros(6))
        self.scale, self.shift = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("variance", torch.ones(6))
        self.weight = nn.Parameter(0.3 * torch.randn(CLASSES, 6))
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.kernel, self.kernel_bias, padding=1)
        x = F.batch_norm(x, self.mean, self.variance, self.scale, self.shift, self.training)
        return F.linear(F.silu(x).mean((2, 3)), self.weight, self.bias)


IMAGE = (3, 8, 8)

PLAIN: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (_mlp, (10,)),
    "conv1d": (_conv1d, (3, 32)),
    "conv3d": (_conv3d, (2, 4, 6, 6)),
    "transposed": (_transposed, IMAGE),
    "grouped": (_grouped, IMAGE),
    "multiplier": (_multiplier, IMAGE),
    "group_norm": (_group_norm, IMAGE),
    "instance_norm": (_instance_norm, IMAGE),
    "layer_norm_positions": (_layer_norm_positions, IMAGE),
    "prelu": (_prelu, IMAGE),
    "leaky": (_activated(lambda: nn.LeakyReLU(0.1)), IMAGE),
    "elu": (_activated(nn.ELU), IMAGE),
    "mish": (_activated(nn.Mish), IMAGE),
    "gelu": (_activated(nn.GELU), IMAGE),
    "softplus": (_activated(nn.Softplus), IMAGE),
    "concat": (ConcatOnly, IMAGE),
    "concat_add": (Concat, IMAGE),
    "spatial_gate": (SpatialGate, IMAGE),
    "scalars": (Scalars, IMAGE),
    "layer_scale": (LayerScale, IMAGE),
    "bias_parameter": (BiasParameter, IMAGE),
    "functional": (Functional, IMAGE),
}

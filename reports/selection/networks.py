"""Networks of random depth and width, of four families, for random instances of the selection."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from easearch.graph import Graph
from easearch.tracing import trace

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "resnet", "densenet")
PIXELS = 32


def conv(i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU."""
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(o), nn.ReLU())


class Residual(nn.Module):
    """`x + branch(x)` where shapes allow, else a projected `x`, or (linear) the branch alone."""

    def __init__(self, branch: nn.Module, i: int, o: int, stride: int, linear: bool) -> None:
        super().__init__()
        self.branch, self.linear = branch, linear
        same = i == o and stride == 1
        self.skip = nn.Identity() if same else None if linear else nn.Conv2d(i, o, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        y = self.branch(x)
        y = y if self.skip is None else y + self.skip(x)
        return y if self.linear else torch.relu(y)


class Dense(nn.Module):
    """Every layer reads the concatenation of all before it."""

    def __init__(self, layers: int, width: int, more: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(conv(width + n * more, 2 * more), nn.Conv2d(2 * more, more, 3, 1, 1))
            for n in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width + layers * more, H, W)."""
        found = [x]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return torch.cat(found, 1)


def inverted(i: int, o: int, stride: int) -> nn.Module:
    """MobileNetV2's block."""
    thin = nn.Sequential(nn.Conv2d(2 * i, o, 1, bias=False), nn.BatchNorm2d(o))
    branch = nn.Sequential(conv(i, 2 * i), conv(2 * i, 2 * i, 3, stride, 2 * i), thin)
    return Residual(branch, i, o, stride, linear=True)


def bottleneck(i: int, o: int, stride: int, hidden: int) -> nn.Module:
    """ResNet's block."""
    branch = nn.Sequential(
        conv(i, hidden), conv(hidden, hidden, 3, stride), nn.Conv2d(hidden, o, 1)
    )
    return Residual(branch, i, o, stride, linear=False)


def separable(i: int, o: int, stride: int) -> nn.Module:
    """MobileNetV1's block."""
    return nn.Sequential(conv(i, i, 3, stride, i), conv(i, o))


def graph_of(family: str, seed: int, deepest: int) -> Graph:
    """The graph of a network of the family with up to `deepest` blocks, widths 8 to 32."""
    draw = random.Random(f"{family} {seed}")
    blocks, width = draw.randint(2, deepest), draw.choice([8, 12, 16])
    body: list[nn.Module] = [conv(3, width, 3, 2)]
    if family == "densenet":
        more = draw.choice([4, 8])
        body.append(Dense(blocks, width, more))
        width += blocks * more
    else:
        for _ in range(blocks):
            stride = draw.choice([1, 1, 2])
            out = width if stride == 1 and draw.random() < 0.7 else draw.choice([12, 16, 24, 32])
            if family == "resnet":
                body.append(bottleneck(width, out, stride, draw.choice([8, 12])))
            else:
                block = separable if family == "mobilenet_v1" else inverted
                body.append(block(width, out, stride))
            width = out
    body += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return trace(nn.Sequential(*body).eval(), torch.zeros(1, 3, PIXELS, PIXELS))


def large(family: str) -> Graph:
    """Sixty groups that can grow."""
    body: list[nn.Module] = [conv(3, 32, 3, 2)]
    width = 32
    for number in range({"mobilenet_v1": 59, "resnet": 28}[family]):
        out = 32 * 2 ** (number * 3 // {"mobilenet_v1": 59, "resnet": 28}[family])
        stride = 1 if out == width else 2
        if family == "resnet":
            body.append(bottleneck(width, out, stride, out))
        else:
            body.append(separable(width, out, stride))
        width = out
    body += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return trace(nn.Sequential(*body).eval(), torch.zeros(1, 3, 64, 64))

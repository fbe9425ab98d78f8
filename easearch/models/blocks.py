"""The building blocks of the seeds: convolution with norm and activation, and the classifier."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from easearch.models.arguments import unknown

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
}


def activation_of(name: str) -> nn.Module:
    """Make a new activation module, never in place; `ValueError` for an unknown name."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class ConvNormAct(nn.Sequential):
    """A convolution, its batch norm and, unless `activation` is None, an activation.

    (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride)), for an odd `kernel`. The parts
    are the attributes `conv`, `norm` and `act`; every call makes modules of its own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: str | None,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.add_module("conv", conv)
        self.add_module("norm", nn.BatchNorm2d(out_channels))
        if activation is not None:
            self.add_module("act", activation_of(activation))


def depthwise(channels: int, *, stride: int, activation: str) -> ConvNormAct:
    """A 3x3 convolution of every channel by itself, norm and activation."""
    return ConvNormAct(channels, channels, 3, stride=stride, groups=channels, activation=activation)


def classifier(channels: int, classes: int, dropout: float) -> list[tuple[str, nn.Module]]:
    """The end of every seed, part by part: (N, channels, H, W) -> (N, classes) logits."""
    parts: list[tuple[str, nn.Module]] = [
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("head", nn.Linear(channels, classes)),
    ]
    if dropout > 0:
        parts.insert(2, ("dropout", nn.Dropout(dropout)))
    return parts


def initialise(model: nn.Module) -> None:
    """Draw the weights anew: He normal by fan-out for convolutions, N(0, 0.01) for linear layers.

    Biases are zero. Draws from torch's default generator, as the constructors of `torch.nn` do.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            # torch's own fan-out forgets the groups and would draw depthwise kernels far too small
            fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)

"""Networks drawn at random out of the kinds of layers: what people put together, and what they do
not.

A network is a list of steps on maps (N, C, H, W), each a small module that keeps the batch and ends
in maps again, and a head. Widths are drawn, so that neighbours rarely agree by chance.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from random_habits import HABITS, habit
from torch import Tensor, nn

SIZE = 8
CLASSES = 3
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.SiLU,
    nn.ReLU,
    nn.GELU,
    nn.Hardswish,
    lambda: nn.LeakyReLU(0.1),
    nn.Tanh,
    nn.ELU,
)


class Residual(nn.Module):
    """`x + branch(x)`."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Joined(nn.Module):
    """Branches side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Squeeze(nn.Module):
    """A squeeze-excite gate."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.two(F.silu(self.one(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class Gated(nn.Module):
    """Twice the channels, half of them a gate."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * out, 1)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.conv(x).chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class Last(nn.Module):
    """Linear layers with the channels last."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(channels, hidden), nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(F.gelu(self.one(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


class Scaled(nn.Module):
    """A parameter a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(channels, 1, 1) + 0.5)
        self.shift = nn.Parameter(torch.randn(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift


class Repeated(nn.Module):
    """One convolution called twice on a stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.silu(self.conv(x)))


class Head(nn.Module):
    """Vectors by pooling or flattening, a hidden layer, logits."""

    def __init__(self, channels: int, flat: bool, hidden: int) -> None:
        super().__init__()
        self.flat = flat
        self.pool = nn.AdaptiveAvgPool2d(2 if flat else 1)
        self.hidden = nn.Linear(channels * (4 if flat else 1), hidden)
        self.out = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(torch.flatten(self.pool(x), 1))))


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    """A network in float64 and evaluation mode, nothing in it alike."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    channels = 3
    steps: list[nn.Module] = []
    for _ in range(draw(st.integers(2, 6))):
        step, channels = draw(_steps(channels))
        steps.append(step)
    model = nn.Sequential(*steps, Head(channels, draw(st.booleans()), draw(st.integers(2, 6))))
    return _settled(model.double())


@st.composite
def _steps(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    """One step and the channels that it leaves."""
    choices = ["conv", "strided", "norm", "act", "pool", "residual", "join", "gate", "glu", "last"]
    choices += [
        "scale",
        "repeat",
        "prelu",
        "depthwise",
        "grouped",
        "up",
        "transposed",
        "bottleneck",
    ]
    name = draw(st.sampled_from((*choices, *HABITS)))
    out = draw(st.integers(2, 7))
    if name in HABITS:
        return habit(name, channels, out)
    act = draw(st.sampled_from(ACTIVATIONS))
    if name == "conv":
        return nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), act()
        ), out
    if name == "strided":
        return nn.Conv2d(channels, out, 2, 2) if out % 2 else nn.Conv2d(channels, out, 1), out
    if name == "norm":
        return draw(st.sampled_from((nn.BatchNorm2d, _instance)))(channels), channels
    if name == "act":
        return act(), channels
    if name == "prelu":
        return nn.PReLU(channels if out % 2 else 1), channels
    if name == "pool":
        return draw(st.sampled_from((nn.AvgPool2d, nn.MaxPool2d)))(3, 1, 1), channels
    if name == "residual":
        branch = nn.Sequential(nn.Conv2d(channels, out, 1), act(), nn.Conv2d(out, channels, 1))
        return nn.Sequential(Residual(branch), act()), channels
    if name == "join":
        more = draw(st.integers(2, 5))
        return Joined(
            nn.Conv2d(channels, out, 1), nn.Conv2d(channels, more, 3, padding=1)
        ), out + more
    if name == "gate":
        return Squeeze(channels, out), channels
    if name == "glu":
        return Gated(channels, out), out
    if name == "last":
        return Last(channels, draw(st.integers(2, 6)), out), out
    if name == "scale":
        return Scaled(channels), channels
    if name == "repeat":
        return Repeated(channels), channels
    if name == "depthwise":
        many = draw(st.sampled_from((1, 2)))
        return nn.Conv2d(channels, channels * many, 3, padding=1, groups=channels), channels * many
    if name == "grouped":
        return _grouped(channels, out, act), 3 * out
    if name == "up":
        return nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)), channels
    if name == "transposed":
        return nn.ConvTranspose2d(channels, out, 1), out
    branch = nn.Sequential(
        *(nn.Conv2d(channels, 6, 1), nn.GroupNorm(3, 6), act()),
        *(
            nn.Conv2d(6, 6, 3, padding=1, groups=3),
            nn.BatchNorm2d(6),
            act(),
            nn.Conv2d(6, channels, 1),
        ),
    )
    return Residual(branch), channels


def _instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def _grouped(channels: int, each: int, act: Callable[[], nn.Module]) -> nn.Module:
    """A dense convolution, a grouped one, and a shuffle of its three groups."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 1),
        nn.Conv2d(6, 3 * each, 3, padding=1, groups=3),
        act(),
        nn.ChannelShuffle(3),
    )


def _settled(model: nn.Module) -> nn.Module:
    """Evaluation mode, with constants drawn: equal channels hide mistakes."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for path, buffer in model.named_buffers():
            if path.endswith("running_mean"):
                buffer.normal_(0, 0.2)
            elif path.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model.eval()


def images(batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)

"""The networks over which the laws are checked: every seed, small, and shapes that the seeds do not
have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easearch.models import build

SIZE = 12
CLASSES = 5


class Tied(nn.Module):
    """A stream with an activation after each addition, written by four convolutions, flattened at
    the end.
    """

    def __init__(
        self,
        act: Callable[[], nn.Module] = nn.SiLU,
        pool: Callable[[int], nn.Module] = nn.AvgPool2d,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6))
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(6, 8, 1, bias=False),
                nn.BatchNorm2d(8),
                act(),
                nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
                nn.BatchNorm2d(8),
                act(),
                nn.Conv2d(8, 6, 1, bias=False),
                nn.BatchNorm2d(6),
            )
            for _ in range(2)
        )
        self.acts = nn.ModuleList(act() for _ in range(3))
        self.pool = pool(2)
        self.head = nn.Linear(6 * (SIZE // 4) ** 2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.acts[0](self.stem(x))
        x = self.acts[1](x + self.branches[0](x))
        x = self.acts[2](x + self.branches[1](x))
        return self.head(torch.flatten(self.pool(x), 1))


class Plain(nn.Module):
    """Functional activations, biases, no norms, vectors with a norm at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 5, 3, 2, 1)
        self.two = nn.Conv2d(5, 7, 3, 2, 1)
        self.norm = nn.BatchNorm1d(7)
        self.hidden = nn.Linear(7, 9)
        self.head = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.one(x))
        x = F.silu(self.two(x)).mean((2, 3))
        x = torch.sigmoid(self.hidden(self.norm(x)))
        return self.head(x)


def _seed(name: str, **arguments: object) -> nn.Module:
    return build(name, classes=CLASSES, divisor=4, **arguments)


SMOOTH: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v1": lambda: _seed(
        "mobilenet_v1", layout=[[8, 1, 1], [8, 1, 2]], stem_channels=4, activation="silu"
    ),
    "mobilenet_v2": lambda: _seed(
        "mobilenet_v2",
        layout=[[8, 2, 1], [8, 2, 2]],
        stem_channels=8,
        expansion=2,
        activation="silu",
    ),
    "tied": Tied,
    "plain": Plain,
}
KINKED: dict[str, Callable[[], nn.Module]] = {
    f"{name} {act}": lambda name=name, act=act: _seed(
        name, layout=[[8, 1, 1], [8, 2, 2]], stem_channels=8, activation=act
    )
    for name in ("mobilenet_v1", "mobilenet_v2")
    for act in ("relu", "relu6", "hardswish")
}
KINKED["tied relu max-pool"] = lambda: Tied(nn.ReLU, nn.MaxPool2d)
NETWORKS = {**SMOOTH, **KINKED}


def sample(batch: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)


def batches(number: int = 4, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    """Separable noise: each class has a pattern of its own."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.randn(CLASSES, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
    found = []
    for _ in range(number):
        y = torch.randint(CLASSES, (size,), generator=generator)
        noise = torch.randn(size, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
        found.append((patterns[y] + 1.5 * noise, y))
    return found


def trained(name: str, steps: int = 30) -> nn.Module:
    """A network in float64 after some steps of training: norms with statistics, gradients that are
    not small.
    """
    torch.manual_seed(3)
    model = NETWORKS[name]().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = batches()
    for step in range(steps):
        x, y = data[step % len(data)]
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


def mean_loss(model: nn.Module, data: list[tuple[Tensor, Tensor]]) -> float:
    model.eval()
    with torch.no_grad():
        losses = [F.cross_entropy(model(x), y, reduction="sum") for x, y in data]
    return float(sum(losses)) / sum(len(y) for _, y in data)

"""The networks that scoring is measured on, after a little training on real pictures.

Data is CIFAR-10 where it is found ($EASEARCH_DATA), else the embedded part of Fashion-MNIST.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch.data
from easearch.data import Batches, Dataset
from easearch.data._torchvision import torchvision
from easearch.errors import DataError
from easearch.models import build

SMALL = {"layout": [[16, 1, 1], [32, 2, 2], [48, 2, 2]], "stem_channels": 16, "channels": 3}


def _efficientnet() -> nn.Module:
    home = torchvision("models.efficientnet")
    rows = [(1, 3, 1, 16, 16, 1), (4, 3, 2, 16, 24, 2), (4, 5, 2, 24, 40, 2)]
    blocks = [home.MBConvConfig(*row) for row in rows]
    made: nn.Module = home.EfficientNet(blocks, dropout=0.0, num_classes=10, last_channel=96)
    return made


def _convnext() -> nn.Module:
    home = torchvision("models.convnext")
    blocks = [home.CNBlockConfig(*row) for row in [(24, 48, 2), (48, 96, 2), (96, None, 1)]]
    made: nn.Module = home.ConvNeXt(blocks, num_classes=10)
    return made


def _seed(name: str, activation: str) -> Callable[[], nn.Module]:
    layout = SMALL["layout"]
    if name == "mobilenet_v1":
        return lambda: build(name, **{**SMALL, "activation": activation})
    return lambda: build(
        name, layout=layout, stem_channels=16, channels=3, expansion=3, activation=activation
    )


SMOOTH: dict[str, Callable[[], nn.Module]] = {
    "MobileNetV1 SiLU": _seed("mobilenet_v1", "silu"),
    "MobileNetV2 SiLU": _seed("mobilenet_v2", "silu"),
    "EfficientNet (SiLU, squeeze-excite)": _efficientnet,
    "ConvNeXt (GELU, LayerNorm)": _convnext,
}
KINKED: dict[str, Callable[[], nn.Module]] = {
    f"{title} {act}": _seed(name, act)
    for title, name in (("MobileNetV1", "mobilenet_v1"), ("MobileNetV2", "mobilenet_v2"))
    for act in ("relu", "relu6", "hardswish")
}
WIDE: dict[str, Callable[[], nn.Module]] = {
    "MobileNetV1 32..256": lambda: build("mobilenet_v1", channels=3, activation="silu"),
    "quickstart seed": _seed("mobilenet_v1", "silu"),
}
"""136,778 and 8,522 parameters."""


@cache
def dataset() -> Dataset:
    """32 x 32 pixels in colour, ten classes."""
    try:
        return easearch.data.load("cifar10", size=32, channels=3)
    except DataError:
        return easearch.data.load("fashion-mnist-mini", size=32, channels=3)


def source() -> str:
    """Which data it is."""
    try:
        easearch.data.load("cifar10")
    except DataError:
        return "Fashion-MNIST (embedded part)"
    return "CIFAR-10"


def pictures(images: int, skip: int = 0, size: int = 32) -> list[tuple[Tensor, Tensor]]:
    """Training pictures in micro-batches, in an order drawn once; `skip` leaves out the first."""
    data = dataset()
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    chosen = data.train.take(order[skip : skip + images])
    return list(Batches(chosen, data.mean, data.std, size))


def trained(make: Callable[[], nn.Module], images: int, epochs: int, seed: int = 0) -> nn.Module:
    """After some epochs of SGD on the first so many pictures, in batches of 64."""
    torch.manual_seed(seed)
    model = make()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    data = dataset()
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    batches = Batches(
        data.train.take(order[:images]), data.mean, data.std, 64, shuffle=True, seed=seed
    )
    model.train()
    for epoch in range(epochs):
        for x, y in batches.at(epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def loss_of(model: nn.Module, data: list[tuple[Tensor, Tensor]]) -> float:
    """Mean cross-entropy, in evaluation mode."""
    model.eval()
    total = sum(float(F.cross_entropy(model(x), y, reduction="sum")) for x, y in data)
    return total / sum(len(y) for _, y in data)


def doubled(data: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """In double precision: differences of losses far below single precision are wanted."""
    return [(x.double(), y) for x, y in data]


def heading(title: str) -> Iterator[str]:
    """What stands above a table: what, when, on what, of which commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    yield f"# {title}"
    yield ""
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}, {source()}, torch "
        f"{torch.__version__}, one thread of a shared machine."
    )
    yield ""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from easearch.graph import Graph, Shape
from easearch.tracing import trace


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EASEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("easearch.budget.devices.counters.POWERCAP", tmp_path / "no counters")
    yield tmp_path / "cache"


class Small(nn.Module):
    """Conv, depthwise, a residual, a head: most kinds in a few numbers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.SiLU()
        )
        self.deep = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), nn.BatchNorm2d(width)
        )
        self.head = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.deep(x)
        return self.head(x.mean((2, 3)))


@pytest.fixture
def small() -> Graph:
    return trace(Small().eval(), torch.zeros(1, 3, 8, 8))


@pytest.fixture
def conv() -> Callable[..., Shape]:
    """A convolution's shape: `conv(ins, outs, size, kind=..., kernel=...)`."""

    def make(ins: int, outs: int, size: int, kind: str = "conv", kernel: int = 1) -> Shape:
        options: dict[str, Any] = {
            "kernel": (kernel,) * 2,
            "stride": (1, 1),
            "pads": (kernel // 2,) * 4,
            "dilation": (1, 1),
            "bias": True,
            **({"each": 1} if kind == "depthwise" else {}),
        }
        return Shape(
            kind=kind,
            in_channels=ins,
            out_channels=outs,
            in_size=(size, size),
            out_size=(size, size),
            options=tuple(sorted(options.items())),
        )

    return make

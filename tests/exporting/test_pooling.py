"""Global pooling is exported as what it is, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import easearch as ea


class Pooled(nn.Module):
    def __init__(self, pool: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 1), pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(x)).flatten(1)


GLOBAL: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a layer": nn.AdaptiveAvgPool2d(1),
    "a mean": lambda x: x.mean((2, 3)),
    "a mean from behind": lambda x: x.mean((-1, -2), keepdim=True),
}
OTHERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "of channels": lambda x: x.mean(1),
    "of one axis": lambda x: x.mean(3, keepdim=True),
}


@pytest.mark.parametrize("case", GLOBAL | OTHERS)
def test_means_over_all_positions(case: str, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    report = ea.export(Pooled((GLOBAL | OTHERS)[case]).eval(), torch.zeros(1, 3, 6, 5), file)
    assert report.difference < 1e-5
    graph = onnx.load(file).graph
    kinds = [node.op_type for node in graph.node]
    assert ("GlobalAveragePool" in kinds, "ReduceMean" in kinds) == (case in GLOBAL, case in OTHERS)
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read

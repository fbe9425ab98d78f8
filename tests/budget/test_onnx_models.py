from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from families import FAMILIES, inputs
from torch import nn
from torch.nn import functional as F

from easearch.budget.devices.runner import open_session, random_inputs
from easearch.budget.latency.kernels import kernels, shapes_of
from easearch.budget.latency.models import item_model, whole_model
from easearch.errors import DeviceError
from easearch.graph import Graph
from easearch.tracing import KINDS, trace


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class Written(nn.Module):
    """One line of code on a tensor."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class First(nn.Module):
    """The first of what a layer gives."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first: torch.Tensor = self.layer(x)[0]
        return first


class Matrix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


class Sum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(x)


MAP, VECTOR, LINE = (1, 6, 8, 8), (1, 6), (1, 6, 9)
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv": (nn.Conv2d(6, 10, (3, 1), (2, 1), (1, 0), dilation=1), MAP),
    "conv of lines": (nn.Conv1d(6, 4, 3, padding=2, dilation=2, bias=False), LINE),
    "same padding": (nn.Conv2d(6, 4, 4, padding="same"), MAP),
    "depthwise": (nn.Conv2d(6, 6, 5, 2, 2, groups=6), MAP),
    "linear": (nn.Linear(6, 3), VECTOR),
    "linear, norm": (nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)), VECTOR),
    "norm of maps": (nn.BatchNorm2d(6), MAP),
    "norm of vectors": (nn.BatchNorm1d(6), VECTOR),
    "norm of lines": (nn.BatchNorm1d(6), LINE),
    "silu": (nn.SiLU(), MAP),
    "relu": (nn.ReLU(), MAP),
    "relu6": (nn.ReLU6(), MAP),
    "hardswish": (nn.Hardswish(), MAP),
    "sigmoid": (nn.Sigmoid(), VECTOR),
    "tanh": (nn.Tanh(), VECTOR),
    "conv, norm, relu6": (
        nn.Sequential(nn.Conv2d(6, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()),
        MAP,
    ),
    "global_pool": (nn.AdaptiveAvgPool2d(1), MAP),
    "mean": (Mean(), MAP),
    "max pool": (nn.MaxPool2d(3, 2, 1), MAP),
    "average pool": (nn.AvgPool2d(3, 2, ceil_mode=True), MAP),
    "add": (Sum(), MAP),
    "flatten": (nn.Flatten(), MAP),
    "identity": (nn.Dropout(0.5), MAP),
    "concat": (Written(lambda x: torch.cat([x, x.relu(), x], dim=1)), MAP),
    "concat of positions": (Written(lambda x: torch.cat([x, x.relu()], dim=3)), MAP),
    "stack": (Written(lambda x: torch.stack([x, x.relu()], dim=1)), LINE),
    "first position": (Written(lambda x: x[:, :, 0]), MAP),
    "new axes": (Written(lambda x: x[:, None, ..., None]), LINE),
    "some positions before channels": (Written(lambda x: x.transpose(1, 2)[:, 2:7:2]), LINE),
    "positions on both sides": (Written(lambda x: x.transpose(1, 2)[:, 1:3, :, :4]), MAP),
    "some channels and positions": (Written(lambda x: x[:, :4, :, :2]), MAP),
    "expand": (Written(lambda x: x[..., None].expand(-1, -1, -1, 3)), LINE),
    "a part": (Written(lambda x: x.split([2, 4], dim=1)[1]), LINE),
    "a part of positions": (Written(lambda x: x.chunk(3, dim=2)[2]), LINE),
    "squeeze": (Written(lambda x: x.unsqueeze(1).squeeze(1)), LINE),
    "permute": (Written(lambda x: x.permute(0, 2, 3, 1)), MAP),
    "linear of positions": (nn.Linear(9, 4), LINE),
    "matmul": (Matrix(), VECTOR),
    "pad": (nn.ZeroPad2d((1, 2, 0, 1)), MAP),
    "rms norm": (nn.RMSNorm(9), LINE),
    "depthwise, transposed": (nn.ConvTranspose2d(6, 6, 3, 2, 1, groups=6), MAP),
    "glu": (nn.GLU(dim=1), MAP),
    "channel shuffle": (nn.ChannelShuffle(3), MAP),
    "pixel unshuffle": (nn.PixelUnshuffle(2), MAP),
    "where": (Written(lambda x: torch.where(x > 0, x, 0.1 * x)), MAP),
    "as another's size": (Written(lambda x: x.mean((2, 3), keepdim=True).expand_as(x)), MAP),
    "as another's form": (Written(lambda x: x.flatten(2).view_as(x)), MAP),
    "zeros like": (Written(lambda x: x + torch.zeros_like(x)), MAP),
    "sampled": (
        Written(lambda x: F.grid_sample(x, torch.zeros(len(x), 4, 3, 2), align_corners=False)),
        MAP,
    ),
    "recurrent": (First(nn.GRU(9, 4, batch_first=True)), LINE),
    "by a number": (Written(lambda x: 2 * x - 1), MAP),
}


def run(model: bytes) -> list[Any]:
    session = open_session(model)
    outputs: list[Any] = session.run(None, random_inputs(session))
    assert all(np.isfinite(output).all() for output in outputs)
    return outputs


@pytest.mark.parametrize("layer", LAYERS)
def test_every_kind_runs_and_gives_its_shape(layer: str) -> None:
    module, size = LAYERS[layer]
    model = nn.Sequential(module).eval()
    graph = trace(model, torch.zeros(size))
    expected = tuple(model(torch.zeros(size)).shape)
    for item in kernels(graph)[1:]:
        shapes = shapes_of(graph, item)
        (output,) = run(item_model(shapes))
        assert output.shape == shapes[-1].out_shape
    (output,) = run(whole_model(graph))
    assert output.shape == expected


ELSEWHERE = {
    "embedding",  # takes whole numbers: tests/tracing/test_embedding.py
    "unused",  # in no file
}
"""Kinds whose operators other tests run, or that have none."""


def test_all_kinds_were_tried() -> None:
    tried: set[str] = set()
    for module, size in LAYERS.values():
        graph = trace(nn.Sequential(module).eval(), torch.zeros(size))
        tried |= {layer.kind for layer in graph.layers}
    for family in FAMILIES.values():  # in test_families.py
        tried |= {layer.kind for layer in trace(family.build().double(), inputs(family, 1)).layers}
    assert set(KINDS) <= tried | ELSEWHERE


def test_norms_behind_convolutions_are_folded(small: Graph) -> None:
    model = onnx.load_from_string(whole_model(small))
    onnx.checker.check_model(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 2
    assert "BatchNormalization" not in kinds


def test_models_are_the_same_every_time(small: Graph) -> None:
    assert whole_model(small) == whole_model(small) != whole_model(small, seed=1)


def test_opaque_layers_are_named() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LocalResponseNorm(2), nn.Conv2d(4, 2, 1))
    graph = trace(model.eval(), torch.zeros(1, 3, 4, 4))
    with pytest.raises(DeviceError, match=r"latency of '1' .*'1' \(LocalResponseNorm\)"):
        whole_model(graph)

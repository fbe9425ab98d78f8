from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from easearch.budget.kernels import kernels
from easearch.budget.meter import shapes_of
from easearch.budget.onnx_models import item_model, whole_model
from easearch.budget.runtime import open_session, random_inputs
from easearch.errors import DeviceError
from easearch.graph import Graph
from easearch.tracing import KINDS, trace


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


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
        assert output.shape == (1, shapes[-1].out_channels, *shapes[-1].out_size)
    (output,) = run(whole_model(graph))
    assert output.shape == expected


def test_all_kinds_were_tried() -> None:
    tried: set[str] = set()
    for module, size in LAYERS.values():
        graph = trace(nn.Sequential(module).eval(), torch.zeros(size))
        tried |= {layer.kind for layer in graph.layers}
    assert set(KINDS) <= tried


def test_norms_behind_convolutions_are_folded(small: Graph) -> None:
    model = onnx.load_from_string(whole_model(small))
    onnx.checker.check_model(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 2
    assert "BatchNormalization" not in kinds


def test_models_are_the_same_every_time(small: Graph) -> None:
    assert whole_model(small) == whole_model(small) != whole_model(small, seed=1)


def test_opaque_layers_are_named() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(dim=1), nn.Conv2d(4, 2, 1))
    graph = trace(model.eval(), torch.zeros(1, 3, 4, 4))
    with pytest.raises(DeviceError, match=r"latency of '1' .*'1' \(Softmax\), which easearch"):
        whole_model(graph)

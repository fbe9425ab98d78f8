"""Size: bytes of weights, as really exported and really quantized files hold them."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from families import FAMILIES, inputs, settled
from torch import nn

from easearch.budget import Budget, certify, find_meter
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.models import whole_model
from easearch.budget.meters.size import Size, weight_bytes
from easearch.exporting import export
from easearch.graph import Graph
from easearch.models import SEEDS
from easearch.tracing import trace
from easearch.tracing.walk import OPAQUE

EXPORTED = ("mlp", "group_norm", "shared_conv", "unet")
"""Norms folded and not, a Gemm with a norm, a convolution called twice, factors of a resize."""
UNQUANTIZED = {
    "densenet": "convolutions without bias or norm, which generated models give a bias",
    "bias_parameter": "the same",
    "shared_conv": "generated models do not share weights",
    "twice": "the same",
    "tied_weights": "the same",
    "needs_export": "the same",
    "spatial_gate": "a parameter broadcast over positions",
    "vit": "a constant token",
    "maxvit": "a constant mask",
}
"""Families whose generated int8 model differs from what is exported, and why."""


def small_seed(name: str) -> nn.Module:
    """A seed with norms as after training: a bias of zeros would be left out of the file."""
    model = SEEDS[name](layout=[[8, 1, 1], [12, 2, 2]], stem_channels=8, divisor=4)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.dim() == 1:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draw))
    return model.eval()


@cache
def family_graph(name: str) -> Graph:
    return trace(FAMILIES[name].build().double(), inputs(FAMILIES[name], 1))


@pytest.mark.parametrize("name", [*SEEDS, *EXPORTED])
def test_the_exported_file_holds_as_many_bytes_as_predicted(name: str, tmp_path: Path) -> None:
    if name in SEEDS:
        model, sample = small_seed(name), torch.zeros(1, 1, 16, 16)
    else:
        model, sample = settled(FAMILIES[name]).float(), inputs(FAMILIES[name], 1).float()
    export(model, sample, tmp_path / "model.onnx")
    file = OnnxFile(tmp_path / "model.onnx", sample.shape)
    predicted = find_meter("size").cost(trace(model, sample)).total
    reading = Size().on_file(file)
    assert reading.value == predicted
    assert f"{file.path.stat().st_size:,} bytes" in reading.note
    assert predicted < file.path.stat().st_size


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(UNQUANTIZED)))
def test_the_quantized_file_holds_as_many_bytes_as_predicted(family: str, tmp_path: Path) -> None:
    graph = family_graph(family)
    if any(layer.kind == OPAQUE for layer in graph.layers):
        pytest.skip("opaque")
    path = tmp_path / "int8.onnx"
    path.write_bytes(whole_model(graph, precision="int8"))
    cost = find_meter("size", precision="int8").cost(graph)
    # Ranges are floats in this file; an exporter keeps them as whole numbers: no weights.
    ranges = [one.name for one in graph.layers if one.kind == "constant" and not one.tensors]
    floats = sum(math.prod(graph.shape(name).out_shape) for name in ranges)
    assert weight_bytes(OnnxFile(path)) == cost.total + 4 * floats
    assert cost.total < find_meter("size").cost(graph).total


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_size_adds_up_over_layers(family: str, precision: str) -> None:
    graph, meter = family_graph(family), Size(precision=precision)
    (items,) = meter.moments(graph)
    cost = meter.cost(graph)
    names = [name for item in items for name in item]
    assert len(names) == len(set(names))
    assert sum(meter.charges(graph, [shapes_of(graph, item) for item in items])) == cost.total > 0
    assert all(cost.rows[name] == 0 for name in set(cost.rows) - {item[0] for item in items})


def test_the_first_and_last_byte_of_a_convolution() -> None:
    """3 x 3 weights, 2 in, 5 out; the norm gives a bias: counted by hand."""
    model = nn.Sequential(nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU()).eval()
    graph = trace(model, torch.zeros(1, 2, 8, 8))
    assert Size().cost(graph).total == 4 * (5 * 2 * 9 + 5)
    assert Size(precision="int8").cost(graph).total == 5 * 2 * 9 + 5 * (4 + 1) + 5 * (4 + 4 + 4)


def test_a_limit_on_size_is_certified(small: Graph, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model: Any = onnx.load_from_string(whole_model(small))
    onnx.save(model, path)
    own = find_meter("size").cost(small).total
    for limits in ({"size_kb": own / 1000}, {"size": f"{own / 1000} KB"}, {"size": own}):
        (bound,) = Budget(limits).bounds(small)
        assert bound.limit == pytest.approx(own, rel=1e-12)
    certificate = certify(path, small, Budget({"size": "1x"}).bounds(small), (1, 3, 8, 8))
    assert certificate.meets
    assert certificate.proofs[0].error == 0
    wider = small.with_widths({group.name: group.width + 1 for group in small.growable})
    path.write_bytes(whole_model(wider))
    assert not certify(path, small, Budget({"size": "1x"}).bounds(small), (1, 3, 8, 8)).meets

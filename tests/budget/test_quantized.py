"""Networks in 8 bits: one item as in the middle of a network, a whole one as the runtime has it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from test_onnx_models import LAYERS, MAP
from torch import nn

import easearch as ea
from easearch.budget.devices.runner import open_session, random_inputs
from easearch.budget.exported.file import OnnxFile
from easearch.budget.exported.quantized import executed
from easearch.budget.latency.kernels import kernels, shapes_of
from easearch.budget.latency.models import item_model, whole_model
from easearch.budget.latency.quantized import OPERATORS
from easearch.models import build
from easearch.tracing import trace

VIEWS = ("Flatten", "Reshape", "Squeeze")
ACTIVATIONS = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "hardswish": nn.Hardswish(),
    "leaky": nn.LeakyReLU(),
}


def optimized(model: bytes | Path, folder: Path) -> Any:
    """What the runtime makes of a model on load."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    given = str(model) if isinstance(model, Path) else model
    onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimized.onnx")


def operators(model: bytes | Path, folder: Path) -> Counter[str]:
    """How many of each, views as one kind."""
    nodes = optimized(model, folder).graph.node
    return Counter("View" if node.op_type in VIEWS else node.op_type for node in nodes)


def graph_of(layer: str) -> ea.Graph:
    module, size = LAYERS[layer]
    return trace(nn.Sequential(module).eval(), torch.zeros(size))


@pytest.mark.parametrize("layer", LAYERS)
def test_an_item_is_as_between_quantized_neighbours(layer: str) -> None:
    graph = graph_of(layer)
    for item in kernels(graph)[1:]:
        shapes = shapes_of(graph, item)
        plain = onnx.load_from_string(item_model(shapes)).graph
        model = item_model(shapes, precision="int8")
        onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
        session = open_session(model)
        (output,) = session.run(None, random_inputs(session))
        assert sorted(output.shape) == sorted(shapes[-1].out_shape)
        quantized = any(node.op_type in OPERATORS for node in plain.node)
        ends = {value.type for value in (*session.get_inputs(), *session.get_outputs())}
        assert ends == {"tensor(uint8)" if quantized else "tensor(float)"}
        assert model == item_model(shapes, precision="int8")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_convolution_is_one_operator(dims: int, activation: str, tmp_path: Path) -> None:
    """Norm folded, a bounded activation taken in, no change of layout and no conversion."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](6, 8, 3, padding=1)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1](8)
    model = nn.Sequential(conv, norm, ACTIVATIONS[activation]).eval()
    graph = trace(model, torch.zeros(1, 6, *[5] * dims))
    (item,) = kernels(graph)[1:]
    found = operators(item_model(shapes_of(graph, item), precision="int8"), tmp_path)
    behind = {
        "silu": {"QLinearSigmoid": 1, "QLinearMul": 1},
        "leaky": {"QLinearLeakyRelu": 1},
        "hardswish": {"DequantizeLinear": 1, "HardSigmoid": 1, "Mul": 1, "QuantizeLinear": 1},
    }
    assert found == {"QLinearConv": 1, **behind.get(activation, {})}


SEEDS = {
    "a chain": ("mobilenet_v1", {"activation": "relu6"}),
    "a residual network": ("mobilenet_v2", {"activation": "relu6"}),
    "smooth activations": ("mobilenet_v2", {"activation": "silu"}),
}


@pytest.mark.parametrize("case", SEEDS)
def test_a_whole_model_runs_as_an_exported_file_does(case: str, tmp_path: Path) -> None:
    name, arguments = SEEDS[case]
    model = build(name, channels=3, **arguments).eval()
    sample = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    file = tmp_path / "model.onnx"
    ea.export(model, sample, file, "int8", calibration=[sample])
    graph = trace(model, sample[:1])
    exported = operators(file, tmp_path)
    assert operators(whole_model(graph, precision="int8"), tmp_path) == exported
    assert exported["QLinearConv"] == sum("conv" in layer.kind for layer in graph.layers) + sum(
        layer.kind == "depthwise" for layer in graph.layers
    )
    assert not {"Conv", "Gemm", "Clip", "Sigmoid"} & set(exported)
    counted = OnnxFile(file, tuple(sample.shape))
    assert counted.macs() == ea.measure(graph, ["macs"])["macs"].total


COUNTED = [name for name in LAYERS if name != "identity"]  # the runtime takes it out first


@pytest.mark.parametrize("layer", COUNTED)
def test_conversions_and_counts_are_those_of_the_runtime(layer: str, tmp_path: Path) -> None:
    """Behind a quantized convolution, where layers that only move numbers stay in 8 bits."""
    module, size = LAYERS[layer]
    before = [nn.Conv2d(6, 6, 1)] if size == MAP else []
    graph = trace(nn.Sequential(*before, module).eval(), torch.zeros(size))
    model, path, plain = whole_model(graph, precision="int8"), tmp_path / "8", tmp_path / "32"
    path.write_bytes(model)
    plain.write_bytes(whole_model(graph))
    file, other = OnnxFile(path), OnnxFile(plain)
    outputs = [value.name for value in file.model.graph.output]
    steps = Counter(step.type for step in executed(file.model.graph.node, file.weights, outputs))
    loaded = optimized(model, tmp_path).graph
    stored = {tensor.name for tensor in loaded.initializer}
    done = Counter(node.op_type for node in loaded.node if node.input[0] not in stored)
    for conversion in ("QuantizeLinear", "DequantizeLinear"):
        assert steps[conversion] == done[conversion]
    assert (file.macs(), file.params()) == (other.macs(), other.params())


def test_memory_by_hand(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x).relu()
            return y + self.second(y).relu()

    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(trace(Net().eval(), torch.zeros(1, 3, 4, 4)), precision="int8"))
    # The sum leaves in float32, and its bytes live beside it while it is converted.
    assert OnnxFile(path).memory() == (16 * 16 + 4 * 16 * 16, "")


def test_quantized_operators_without_conversions_are_counted(tmp_path: Path) -> None:
    graph = graph_of("conv, norm, relu6")
    path, plain = tmp_path / "fused.onnx", tmp_path / "plain.onnx"
    plain.write_bytes(whole_model(graph))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(whole_model(graph, precision="int8"), options)
    fused, file = OnnxFile(path), OnnxFile(plain)
    assert "QLinearConv" in {node.op_type for node in fused.model.graph.node}
    assert (fused.macs(), fused.params()) == (file.macs(), file.params())
    assert fused.memory()[0] is None and "runtime's own" in fused.memory()[1]

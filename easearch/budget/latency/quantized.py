"""ONNX models in 8 bits, as ONNX Runtime's own static quantizer writes them.

Weights are int8 with a scale a channel, biases int32, maps uint8. (On x86 ONNX Runtime 1.31 runs
the quantizer's default, int8 maps, 3 to 4 times slower; its kernels for ARM take both.) Ranges are
made up here, since time does not depend on them: an exported file has calibrated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, shape_inference
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

NORMS = ("BatchNormalization", "InstanceNormalization", "LayerNormalization")
"""Left in float32: the runtime has no kernels of 8 bits for them, and few bits of their scales
cost accuracy.
"""
OPERATORS = tuple(sorted({*QDQRegistry, *QLinearOpsRegistry} - set(NORMS)))
"""What is quantized, by ONNX operator: all that the quantizer knows of, but norms."""
SETTINGS = {
    "per_channel": True,
    "weight_type": QuantType.QInt8,
    "activation_type": QuantType.QUInt8,
    "op_types_to_quantize": list(OPERATORS),
}
"""How files are quantized on every host, as arguments of `quantize_static`."""
RANGE = (-4.0, 4.0)
RANGES = {"Relu": (0.0, 4.0), "Clip": (0.0, 4.0), "Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0)}
"""Made-up ranges of values, by the operator that makes them."""


def quantized(model: Any) -> Any:
    """A whole float32 model in 8 bits: float32 in and out, as `quantize_static` leaves it."""
    return _quantizer(model, ends=False)


def quantized_item(model: Any) -> Any:
    """A float32 model of one item in 8 bits, as it stands between quantized neighbours.

    Its inputs and outputs are uint8, and where it begins with a convolution they have channels
    last, because that is how the runtime keeps maps from one quantized convolution to the next. A
    model none of whose operators is quantized comes back as it is.
    """
    nodes = model.graph.node
    if not any(node.op_type in OPERATORS for node in nodes):
        return model
    channels_last = nodes[0].op_type == "Conv"
    made = _quantizer(model, ends=True)
    _open(made.graph, channels_last)
    return made


def _quantizer(model: Any, ends: bool) -> Any:
    """Run the quantizer; `ends`: as if neighbours were quantized, what comes in and goes out is."""
    inferred = shape_inference.infer_shapes(model)
    add_infer_metadata(inferred)  # spares the quantizer a round over the disk
    inputs = [value.name for value in inferred.graph.input]
    found = dict.fromkeys(inputs, RANGE)
    for node in inferred.graph.node:
        found |= dict.fromkeys(node.output, RANGES.get(node.op_type, RANGE))
    pairs = {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}
    quantizer = QDQQuantizer(
        inferred,
        SETTINGS["per_channel"],
        False,  # fewer bits of weights (exporting/quantize.py) take the same time
        SETTINGS["weight_type"],
        SETTINGS["activation_type"],
        TensorsData(CalibrationMethod.MinMax, pairs),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=SETTINGS["op_types_to_quantize"],
        extra_options={},
    )
    if ends:
        read = {name for node in inferred.graph.node for name in node.input}
        for name in [name for name in inputs if name in read]:
            quantizer.quantize_activation_tensor(name)
        for value in inferred.graph.output:
            quantizer.quantize_activation_tensor(value.name)
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def _open(graph: Any, channels_last: bool) -> None:
    """Take the conversions at a graph's ends away: uint8 comes in and goes out."""
    nodes = list(graph.node)
    for value in graph.input:
        (first, *_) = [node for node in nodes if value.name in node.input] or [None]
        if first is not None and first.op_type == "QuantizeLinear":
            nodes.remove(first)
            turned = _retyped(value, channels_last)
            if turned:
                back = [0, len(turned) - 1, *range(1, len(turned) - 1)]
                nodes.insert(0, _transpose(value.name, first.output[0], back))
            else:
                _rename(nodes, first.output[0], value.name)
    for value in graph.output:
        (last,) = (node for node in nodes if value.name in node.output)
        if last.op_type == "DequantizeLinear":
            nodes.remove(last)
            turned = _retyped(value, channels_last)
            if turned:
                nodes.append(_transpose(last.input[0], value.name, turned))
            else:
                _rename(nodes, last.input[0], value.name)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _retyped(value: Any, channels_last: bool) -> list[int]:
    """Declare an end as uint8, a map with channels last; returns how its axes were turned."""
    value.type.tensor_type.elem_type = TensorProto.UINT8
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    if not channels_last or len(sizes) < 3:
        return []
    order = [0, *range(2, len(sizes)), 1]
    for dim, axis in zip(value.type.tensor_type.shape.dim, order, strict=True):
        dim.dim_value = sizes[axis]
    return order


def _transpose(source: str, target: str, order: Sequence[int]) -> Any:
    return helper.make_node("Transpose", [source], [target], name=f"{target}:turned", perm=order)


def _rename(nodes: Sequence[Any], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new

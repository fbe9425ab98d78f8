"""Models of one ONNX operator each, as tools other than easearch write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def single(op: str, *given: Any, outputs: int = 1, opset: int = 20, **attributes: Any) -> bytes:
    """A model of one node: shapes are inputs, arrays are stored."""
    names = [f"i{number}" if one is not None else "" for number, one in enumerate(given)]
    shapes = {n: one for n, one in zip(names, given, strict=True) if isinstance(one, tuple)}
    stored = {
        name: np.asarray(one)
        for name, one in zip(names, given, strict=True)
        if isinstance(one, np.ndarray | np.generic)
    }
    outs = [f"o{number}" for number in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, outs, **attributes)],
        "single",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [onnx.ValueInfoProto(name=name) for name in outs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


def whole(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


def real(*numbers: float) -> Any:
    return np.asarray(numbers, np.float32)


def drawn(*shape: int) -> Any:
    return np.random.default_rng(1).random(shape, np.float32) + 0.5


SINGLE: dict[str, bytes] = {
    **{name: single(name, (2, 3, 4)) for name in ("Ceil", "Floor", "Round", "Sign", "LogSoftmax")},
    **{name: single(name, (2, 3, 4), (3, 1), (4,)) for name in ("Max", "Min", "Sum")},
    **{
        name: single(name, (2, 3, 4), (3, 1))
        for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
    },
    **{name: single(name, (2, 3, 4), whole(1)) for name in ("ReduceL1", "ReduceL2")},
    "reduce all": single("ReduceSum", (2, 3, 4), keepdims=0),
    "reduce, axes as an attribute": single("ReduceMean", (2, 3, 4), axes=[-1], opset=13),
    "product of several axes": single("ReduceProd", (2, 3, 4), whole(0, -1), keepdims=0),
    "ArgMax": single("ArgMax", (2, 3, 4), axis=1, keepdims=0),
    "ArgMin": single("ArgMin", (2, 3, 4)),
    "Cast": single("Cast", (2, 3), to=TensorProto.INT32),
    "Clip to nothing": single("Clip", (2, 3)),
    "Clip from below": single("Clip", (2, 3), np.float32(0.1)),
    "Dropout": single("Dropout", (2, 3), np.float32(0.5), np.asarray(False)),
    "Selu of its own": single("Selu", (2, 3), alpha=2.0, gamma=0.5),
    "HardSigmoid": single("HardSigmoid", (2, 3)),
    "Shrink": single("Shrink", (2, 30), lambd=0.4, bias=0.1),
    "ThresholdedRelu": single("ThresholdedRelu", (2, 30), alpha=0.3),
    "PRelu of every place": single("PRelu", (1, 3, 4), drawn(3, 4)),
    "PRelu of one slope": single("PRelu", (1, 3, 4), drawn(1)),
    "Pow of tensors": single("Pow", drawn(2, 3), (2, 3)),
    "Gemm": single("Gemm", (2, 3), drawn(3, 4), drawn(4)),
    "Gemm turned": single("Gemm", (3, 2), drawn(4, 3), drawn(2, 1), transA=1, transB=1),
    "Gemm scaled": single("Gemm", (2, 3), drawn(4, 3), drawn(4), transB=1, alpha=0.5, beta=2.0),
    "Gemm alone": single("Gemm", (2, 3), drawn(3, 4), alpha=0.5),
    "GlobalMaxPool": single("GlobalMaxPool", (1, 3, 4, 5)),
    "Reshape that keeps": single("Reshape", (2, 3, 4), whole(0, -1)),
    "Flatten from behind": single("Flatten", (2, 3, 4), axis=-1),
    "Flatten of all": single("Flatten", (2, 3, 4), axis=0),
    "Squeeze of all": single("Squeeze", (2, 1, 4, 1)),
    "Unsqueeze": single("Unsqueeze", (2, 3), whole(-1, 0)),
    "Transpose": single("Transpose", (2, 3, 4)),
    "Expand of both": single("Expand", (3, 1), whole(2, 1, 4)),
    "Tile": single("Tile", (2, 3), whole(2, 1)),
    "Slice beyond": single("Slice", (5, 6), whole(-3), whole(2**62), whole(1), whole(2)),
    "Slice backwards": single("Slice", (5, 6), whole(-1), whole(-(2**62)), whole(1), whole(-2)),
    "Split": single("Split", (5, 6), outputs=3, axis=0, num_outputs=3),
    "Split by sizes": single("Split", (5, 6), whole(1, 5), outputs=2, axis=-1),
    "Gather of one": single("Gather", (5, 6), np.asarray(-2), axis=1),
    "Gather": single("Gather", (5, 6), np.asarray([[0, -1], [3, 3]]), axis=1),
    "GatherElements": single("GatherElements", (5, 6), np.asarray([[0, -1], [3, 3]]), axis=1),
    "GatherND": single("GatherND", (5, 6, 2), np.asarray([[0, -1], [3, 3]])),
    "ScatterND": single("ScatterND", (5, 6), np.asarray([[0], [3]]), drawn(2, 6)),
    "TopK": single("TopK", (5, 6), whole(2), outputs=2, axis=0, largest=0),
    "DepthToSpace": single("DepthToSpace", (1, 8, 2, 3), blocksize=2),
    "Size": single("Size", (5, 6)),
    "Shape": single("Shape", (5, 6, 7), start=1, end=-1),
    "Softmax": single("Softmax", (5, 6), axis=0),
    "Constant": single("Constant", value_floats=[1.0, 2.0]),
    "Constant tensor": single("Constant", value=numpy_helper.from_array(whole(1, 2))),
    "Constant number": single("Constant", value_int=3),
    "ConstantOfShape": single("ConstantOfShape", whole(2, 3)),
    "ConstantOfShape of one": single(
        "ConstantOfShape", np.zeros(0, np.int64), value=numpy_helper.from_array(whole(7))
    ),
    "Range": single("Range", np.asarray(5), np.asarray(-2), np.asarray(-3)),
    "Not": single("Not", np.asarray([True, False])),
    "And": single("And", np.asarray([True, False]), np.asarray([[True], [False]])),
    "Or": single("Or", np.asarray([True, False]), np.asarray([[True], [False]])),
    "Div of whole numbers": single("Div", whole(-7, 7), whole(2)),
    "Conv, uneven": single("Conv", (1, 4, 9, 8), drawn(6, 2, 3, 2), pads=[0, 1, 2, 0], group=2),
    **{
        f"Conv, {way}": single(
            *("Conv", (1, 4, 8, 8), drawn(6, 4, 3, 2), drawn(6)), auto_pad=way, strides=[2, 3]
        )
        for way in ("SAME_UPPER", "SAME_LOWER", "VALID")
    },
    "ConvTranspose, uneven": single(
        *("ConvTranspose", (1, 4, 5, 4), drawn(4, 3, 3, 2)), pads=[0, 1, 2, 0], strides=[2, 2]
    ),
    "ConvTranspose, more": single(
        *("ConvTranspose", (1, 4, 5), drawn(4, 3, 3)), output_padding=[1], strides=[2], pads=[1, 1]
    ),
    "MaxPool, uneven": single("MaxPool", (1, 4, 9, 8), kernel_shape=[3, 2], pads=[0, 1, 2, 0]),
    "MaxPool, far": single("MaxPool", (1, 4, 9), kernel_shape=[3], pads=[2, 2], dilations=[2]),
    "AveragePool, uneven": single(
        *("AveragePool", (1, 4, 9)), kernel_shape=[3], pads=[2, 0], count_include_pad=1
    ),
    "Pad of some axes": single("Pad", (4, 5), whole(2, 1), np.float32(3), whole(-1)),
    "Resize by scales": single("Resize", (1, 2, 5, 4), None, real(1, 1, 2.5, 0.5), mode="linear"),
    "LayerNormalization": single("LayerNormalization", (2, 3, 4), drawn(3, 4), axis=1),
    "GroupNormalization": single(
        *("GroupNormalization", (1, 6, 5), drawn(6), drawn(6)), num_groups=3, opset=21
    ),
    "RMSNormalization": single("RMSNormalization", (2, 3, 4), drawn(4), opset=23),
    "InstanceNormalization": single(
        "InstanceNormalization", (1, 6, 5), drawn(6), drawn(6), epsilon=0.1
    ),
    "BatchNormalization": single(
        "BatchNormalization", (2, 3), drawn(3), drawn(3), drawn(3), drawn(3), epsilon=0.1
    ),
    "Einsum": single("Einsum", (2, 3, 4), (2, 4), equation="Bij, Bj -> iB"),
    "LRN": single("LRN", (1, 6, 4, 4), size=3, alpha=0.5),
}


def changed(model: bytes, change: Callable[[Any], None]) -> bytes:
    """The model after a change of its graph."""
    read = onnx.load_from_string(model)
    change(read.graph)
    return bytes(read.SerializeToString())


def _with_det(graph: Any) -> None:
    graph.node.append(helper.make_node("Det", ["o0"], ["d"]))


def _turned(graph: Any) -> None:
    graph.node[0].input[0] = "later"


def _opened(graph: Any) -> None:
    graph.input[0].type.tensor_type.shape.dim[1].dim_param = "size"


REFUSED: dict[str, bytes] = {
    "operator 'QuantizeLinear'": single("QuantizeLinear", (2, 3), np.float32(0.1), np.int8(0)),
    "operator 'NonZero'": single("NonZero", (2, 3)),
    "operator 'Det', 'Hardmax'": changed(single("Hardmax", (2, 2)), _with_det),
    "MaxPool with 2 outputs": single("MaxPool", (1, 2, 4), outputs=2, kernel_shape=[2]),
    "AveragePool with pads": single("AveragePool", (1, 2, 9), kernel_shape=[3], pads=[2, 0]),
    "AveragePool with dilations": single("AveragePool", (1, 2, 9), kernel_shape=[3], dilations=[2]),
    "ConvTranspose with output_shape": single(
        "ConvTranspose", (1, 2, 9), drawn(2, 2, 3), output_shape=[12]
    ),
    "Conv with an input of 6 axes": single("Conv", (1, 2, 3, 3, 3, 3), drawn(2, 2, 1, 1, 1, 1)),
    "Resize with mode=nearest": single("Resize", (1, 2, 5), None, real(1, 1, 2)),
    "Resize with mode=linear": single(
        *("Resize", (1, 2, 5), None, real(1, 1, 2)),
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    ),
    "Resize with another number of": single(
        "Resize", (1, 2, 5), None, real(1, 2, 2), mode="linear"
    ),
    "Resize with aligned corners": single(
        *("Resize", (1, 2, 5), None, real(1, 1, 1.5)),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    "Pad with mode=reflect over": single("Pad", (1, 2, 5), whole(0, 1, 0, 0, 0, 0), mode="reflect"),
    "BatchNormalization with training_mode": single(
        "BatchNormalization", (2, 3), drawn(3), drawn(3), drawn(3), drawn(3), training_mode=1
    ),
    "Dropout with training_mode": single("Dropout", (2, 3), np.float32(0.5), np.asarray(True)),
    "ReduceSum with noop": single("ReduceSum", (2, 3), noop_with_empty_axes=1),
    "LayerNormalization with scales": single("LayerNormalization", (2, 3), drawn(1)),
    "Constant with value_string": single("Constant", value_string="words"),
    "Relu with leaks=1": single("Relu", (2, 3), leaks=1),
    "Expand with input 1 computed": single("Expand", (2, 3), (2,)),
    "opset 13 and later, got 12": single("Relu", (2, 3), opset=12),
    "torch cannot run a generated model": single("Add", (2, 3), (4,)),
    "leaves dimension 1 open": changed(single("Relu", (2, 3)), _opened),
    "'later' is read and was never made": changed(single("Relu", (2, 3)), _turned),
    "expected an ONNX file": b"no model",
}

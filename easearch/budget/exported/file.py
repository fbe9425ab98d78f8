"""An exported ONNX file, counted: MACs, parameters and peak memory of what will really run."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference
from onnx.numpy_helper import to_array

from easearch.budget.devices.runner import open_session
from easearch.budget.exported.memory import peak
from easearch.budget.exported.quantized import CONVERSIONS, executed
from easearch.errors import FileFormatError

LOG = logging.getLogger(__name__)

_TRAINED = {
    "BatchNormalization": (1, 2),
    "QuantizeLinear": (),
    "DequantizeLinear": (),
    "Resize": (),
    "Clip": (0,),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (3, 6),
    "ConvInteger": (1,),
    "MatMulInteger": (0, 1),
}
"""Operators that read stored numbers besides trained ones (statistics, scales, zero points), and at
which inputs the trained ones are; of all others every input may be.
"""
_MADE = re.compile(r"(val|onnx::\w+|const\w*|_?\w*[Cc]onstant\w*)_?\d*")
"""Names that exporters give to tensors of their own making; those of parameters are paths."""
BUFFERS = "easearch.buffers"
"""Where a file says which of its tensors are a model's buffers: names, a line each."""
_CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Convolutions, and at which input their weight stands."""
_BYTES = (TensorProto.UINT8, TensorProto.INT8)
_PRODUCTS = ("MatMul", "MatMulInteger", "QLinearMatMul")
_CELLS = ("GRU", "LSTM", "RNN")
_UNKNOWN = (
    *("Loop", "Scan", "If", "Attention", "MultiHeadAttention", "DeformConv", "STFT", "DFT", "Det"),
    *("FusedConv", "FusedGemm", "FusedMatMul"),
)
"""Operators that multiply and add in ways, or as often, as nothing in the file tells."""
_DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Where operators are from that are known."""
_PASSING = (*CONVERSIONS, "Transpose", "Cast", "Identity", "Reshape")
"""Operators between a stored weight and the operator that uses it."""
_NUMBERS = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.DOUBLE,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT32,
)


class OnnxFile:
    """A file with the shapes of all of its values, for one sample.

    Args:
        path: the file.
        sample: (N, C, ...), sizes for the dimensions that the file leaves open; the batch is 1.

    Raises:
        FileFormatError: it is not a readable ONNX file.
    """

    def __init__(self, path: Path | str, sample: Sequence[int] | None = None) -> None:
        self.path = Path(path)
        self.sample = None if sample is None else tuple(sample)
        try:
            self.model: Any = onnx.load(self.path)
            onnx.checker.check_model(self.model)
        except Exception as error:
            raise FileFormatError(
                f"expected an ONNX file, got '{self.path.name}': {str(error).strip()}"
            ) from error

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the file and of those beside it that hold its weights, by name."""
        graph = onnx.load(self.path, load_external_data=False).graph
        beside = {
            e.value for t in graph.initializer for e in t.external_data if e.key == "location"
        }
        paths = [self.path, *(self.path.parent / name for name in sorted(beside))]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    @cached_property
    def weights(self) -> dict[str, Any]:
        """Stored tensors by name."""
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of every value with known sizes, batch 1."""
        graph = self._inferred.graph
        known = {name: tuple(tensor.dims) for name, tensor in self.weights.items()}
        for value in (*graph.input, *graph.value_info, *graph.output):
            size = [d.dim_value for d in value.type.tensor_type.shape.dim]
            if all(size):
                known.setdefault(value.name, tuple(size))
        return known

    @cached_property
    def _inferred(self) -> Any:
        return _closed(self.model, self.sample, self.weights)

    def macs(self) -> int:
        """Multiply-adds of convolutions, Gemm and matrix products.

        Raises:
            FileFormatError: a shape cannot be inferred.
        """
        return sum(self.node_macs(node) for node in self.model.graph.node)

    def params(self) -> int:
        """Trained numbers that any operator reads, each stored tensor once."""
        makers = {name: node for node in self.model.graph.node for name in node.output}
        found: set[str] = set()
        for node in self.model.graph.node:
            for position in _TRAINED.get(node.op_type, range(len(node.input))):
                if position < len(node.input):
                    name = self._stored(node.input[position], makers)
                    if name in self.weights and self._is_trained(name, node):
                        found.add(name)
        return sum(math.prod(self.weights[name].dims) for name in found)

    def _is_trained(self, name: str, node: Any) -> bool:
        """Whether a stored tensor is a parameter: no buffer, no constant of a formula (a clip's
        bounds, a slope), no scale or shift of a norm that has none.
        """
        tensor = self.weights[name]
        if tensor.data_type not in _NUMBERS or name.removesuffix("_quantized") in self.buffers:
            return False
        if node.op_type == "PRelu" or not _MADE.fullmatch(name.removesuffix("_quantized")):
            return True
        if math.prod(tensor.dims) == 1:
            return False
        return "Normalization" not in node.op_type or len(np.unique(to_array(tensor))) > 1

    @cached_property
    def buffers(self) -> frozenset[str]:
        """Names of tensors that are buffers of the model, as far as the file says."""
        told = {prop.key: prop.value for prop in self.model.metadata_props}
        return frozenset(told.get(BUFFERS, "").split("\n"))

    def memory(self) -> tuple[float | None, str]:
        """Peak bytes of living activations, or None; and a remark."""
        graph = self.model.graph
        if any(_is_quantized(node) and node.op_type not in CONVERSIONS for node in graph.node):
            return None, "the file has quantized operators of the runtime's own"
        outputs = [value.name for value in graph.output]
        inputs = [v.name for v in graph.input if v.name not in self.weights]
        steps = executed(graph.node, self.weights, outputs)
        try:
            sizes = {name: self._bytes(name) for s in steps for name in s.outputs if name}
            sizes |= {name: self._bytes(name) for name in inputs}
        except FileFormatError as error:
            return None, str(error)
        return float(peak(steps, sizes, inputs, outputs)), ""

    def _bytes(self, name: str) -> int:
        each = 1 if self._types.get(name) in _BYTES else 4
        return each * math.prod(self.shape_of(name))

    @cached_property
    def _types(self) -> dict[str, int]:
        graph = self._inferred.graph
        values = (*graph.input, *graph.value_info, *graph.output)
        return {value.name: value.type.tensor_type.elem_type for value in values}

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Sizes of a value, batch 1.

        Raises:
            FileFormatError: they cannot be inferred.
        """
        found = self.shapes.get(name) or self._executed.get(name)
        if found is None and name not in self.shapes:
            raise FileFormatError(
                f"expected a file whose sizes can be inferred, got '{self.path.name}', in which "
                f"that of '{name}' cannot"
            )
        return found or ()

    @cached_property
    def _executed(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all values as seen when one sample passes: where nothing else tells them."""
        model = onnx.ModelProto()
        model.CopyFrom(self._inferred)
        names = list(dict.fromkeys(n for node in model.graph.node for n in node.output if n))
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        try:
            session = open_session(model.SerializeToString())
            inputs = {
                one.name: np.zeros(
                    one.shape, helper.tensor_dtype_to_np_dtype(self._types[one.name])
                )
                for one in session.get_inputs()
            }
            values = session.run(names, inputs)
        except Exception as error:
            LOG.info("%s: sizes cannot be seen either: %s", self.path.name, error)
            return {}
        return {name: tuple(np.shape(value)) for name, value in zip(names, values, strict=True)}

    def node_macs(self, node: Any) -> int:
        """Multiply-adds of one node.

        Raises:
            FileFormatError: a shape cannot be inferred.
        """
        if node.op_type in _CONVOLUTIONS:
            kernel = self.shape_of(node.input[_CONVOLUTIONS[node.op_type]])
            end = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
            return math.prod(self.shape_of(end)) * math.prod(kernel[1:])
        if node.op_type == "Gemm":
            axis = 0 if _attribute(node, "transA") else 1
            return math.prod(self.shape_of(node.output[0])) * self.shape_of(node.input[0])[axis]
        if node.op_type in _PRODUCTS:
            return math.prod(self.shape_of(node.output[0])) * self.shape_of(node.input[0])[-1]
        if node.op_type in _CELLS:
            steps, batch, _ = self.shape_of(node.input[0])
            return steps * batch * sum(math.prod(self.shape_of(n)) for n in node.input[1:3])
        if node.op_type in _UNKNOWN or node.domain not in _DOMAINS:
            raise FileFormatError(
                f"expected operators whose MACs are known, got '{node.op_type}' in "
                f"'{self.path.name}'; limit params or size instead of macs"
            )
        if node.op_type == "Einsum":
            return math.prod(self._letters(node).values())
        return 0

    def _letters(self, node: Any) -> dict[str, int]:
        """Sizes along every letter of an Einsum of two tensors, and along what "..." stands for."""
        (equation,) = (a.s.decode() for a in node.attribute if a.name == "equation")
        terms = equation.split("->")[0].split(",")
        sizes: dict[str, int] = {}
        for term, name in zip(terms, node.input, strict=True):
            before, _, behind = term.strip().partition("...")
            shape = self.shape_of(name)
            spread = shape[len(before) : len(shape) - len(behind)] if "..." in term else ()
            sizes |= dict(zip(before, shape, strict=False))
            sizes |= dict(zip(reversed(behind), reversed(shape), strict=False))
            sizes |= {f"...{i}": n for i, n in enumerate(reversed(spread)) if n > 1}
        return sizes

    def _stored(self, name: str, makers: dict[str, Any]) -> str:
        while name in makers and makers[name].op_type in _PASSING:
            name = makers[name].input[0]
        return name


def _closed(model: Any, sample: Sequence[int] | None, weights: dict[str, Any]) -> Any:
    """The model with its inputs' open dimensions filled in and every shape inferred."""
    closed = onnx.ModelProto()
    closed.CopyFrom(model)
    del closed.graph.value_info[:]
    for value in closed.graph.input:
        if value.name not in weights:
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if not dim.dim_value:
                    dim.dim_value = _open_size(axis, sample)
    outputs = [
        helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None)
        for value in closed.graph.output
    ]
    del closed.graph.output[:]
    closed.graph.output.extend(outputs)
    return shape_inference.infer_shapes(closed, data_prop=True)


def _open_size(axis: int, sample: Sequence[int] | None) -> int:
    if axis == 0:
        return 1
    return int(sample[axis]) if sample is not None and axis < len(sample) else 0


def _is_quantized(node: Any) -> bool:
    return "Linear" in node.op_type or node.op_type in ("ConvInteger", "MatMulInteger", "QGemm")


def _attribute(node: Any, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)

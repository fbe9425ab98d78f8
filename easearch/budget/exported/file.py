"""An exported ONNX file, counted: MACs, parameters and peak memory of what will really run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper, shape_inference

from easearch.budget.exported.memory import peak
from easearch.budget.exported.quantized import CONVERSIONS, executed
from easearch.errors import FileFormatError

_WEIGHTED = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2),
    "Add": (0, 1),
    "Mul": (0, 1),
    "ConvInteger": (1,),
    "MatMulInteger": (0, 1),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (3, 6),
}
"""Operators with trained numbers, and at which inputs (running statistics are not)."""
_CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Convolutions, and at which input their weight stands."""
_BYTES = (TensorProto.UINT8, TensorProto.INT8)
_PRODUCTS = ("MatMul", "MatMulInteger", "QLinearMatMul")
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
        """Trained numbers, each stored tensor once."""
        makers = {name: node for node in self.model.graph.node for name in node.output}
        found: set[str] = set()
        for node in self.model.graph.node:
            for position in _WEIGHTED.get(node.op_type, ()):
                if position < len(node.input):
                    found.add(self._stored(node.input[position], makers))
        # Scalars are constants of formulas (a clip's bounds, a slope), not weights.
        return sum(
            math.prod(self.weights[name].dims)
            for name in found
            if name in self.weights
            and self.weights[name].dims
            and self.weights[name].data_type in _NUMBERS
        )

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
        try:
            return self.shapes[name]
        except KeyError:
            raise FileFormatError(
                f"the shape of '{name}' in '{self.path.name}' cannot be inferred"
            ) from None

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

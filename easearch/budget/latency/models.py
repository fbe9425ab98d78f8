"""ONNX models straight from shapes: one item for the latency table, a whole graph to check the sum.

Weights are random and seeded: time does not depend on their values. Batch 1; a norm behind a
convolution is folded away, as every exporter does. In int8 they are what the runtime's quantizer
makes of the same models (`quantized`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from easearch.budget.latency.kernels import does_nothing, folded, kernels
from easearch.budget.latency.quantized import quantized, quantized_item
from easearch.errors import DeviceError
from easearch.graph import Graph, Shape
from easearch.tracing import KINDS, Op
from easearch.tracing.training_only import evaluated
from easearch.tracing.walk import INPUT, OPAQUE

OPSET = 20
IR_VERSION = 9  # read by every ONNX Runtime since 1.16


def item_model(
    shapes: tuple[Shape, ...], seed: int = 0, precision: str = "fp32", *, read_on: bool = False
) -> bytes:
    """A model that executes one item: its first layer's inputs in, its last layer's output out.

    In int8 the item is as in the middle of a network: uint8 in and out, unless the runtime leaves
    all of its operators in float32.

    ONNX Runtime does not fuse an activation of several operators (Hardswish) that gives the model's
    very output: with `read_on` a number is picked from it, as something reads it in any network.
    """
    build = _Build(seed)
    values = [build.input(f"x{i}", size) for i, size in enumerate(input_shapes(shapes[0]))]
    for number, shape in enumerate(folded(shapes)):
        values = [build.layer(f"layer{number}", shape, values)]
    sizes = shapes[-1].out_shape
    if read_on:
        build.output(build.picked(values[0], len(sizes)), (1,) * len(sizes))
    else:
        build.output(values[0], sizes)
    return _serialized(quantized_item(build.model()) if precision == "int8" else build.model())


def whole_model(graph: Graph, seed: int = 0, precision: str = "fp32") -> bytes:
    """A model that executes the whole graph at its own widths, float32 in and out.

    Raises:
        DeviceError: a layer is opaque, so that nothing is known of what it does.
    """
    graph = evaluated(graph)
    refuse_opaque(graph)
    build = _Build(seed)
    skipped = {
        name
        for item in kernels(graph)
        for name in item[1:]
        if graph.by_name[name].kind == "batch_norm"
    }
    values: dict[str, str] = {}
    for layer in graph.layers:
        shape = graph.shape(layer.name)
        if layer.kind == INPUT:
            values[layer.name] = build.input(layer.name, shape.out_shape)
        elif layer.name in skipped or does_nothing(shape):
            values[layer.name] = values[layer.inputs[0]]
        else:
            sources = [values[source] for source in layer.inputs]
            # What the model computes from its own tensors alone is no layer, but a constant.
            constant = input_shapes(shape)[len(sources) :]
            sources += [build.weight(f"{layer.name}:x{i}", s) for i, s in enumerate(constant)]
            values[layer.name] = build.layer(layer.name, shape, sources)
    ends = [layer.name for layer in graph.layers if not graph.consumers[layer.name]]
    for value, name in {values[name]: name for name in ends}.items():
        build.output(value, graph.shape(name).out_shape)
    return _serialized(quantized(build.model()) if precision == "int8" else build.model())


def refuse_opaque(graph: Graph) -> None:
    """Raise where no operators of a layer are known: its time would be missing from every sum.

    Raises:
        DeviceError: says which layer, and why it is opaque.
    """
    for name in without_operators(graph):
        raise DeviceError(
            f"the latency of '{name}' cannot be measured: {reason(graph, name)}; "
            "replace the layer by kinds that easearch knows, or limit params or size"
        )


def without_operators(graph: Graph) -> tuple[str, ...]:
    """The layers that cannot be written down as ONNX operators."""
    return tuple(
        layer.name
        for layer in evaluated(graph).layers
        if layer.kind != INPUT
        and (layer.kind == OPAQUE or not KINDS[layer.kind].ops(graph.shape(layer.name)))
    )


def reason(graph: Graph, name: str) -> str:
    """Why nothing is known of what a layer does."""
    layer = graph.by_name[name]
    if layer.kind != OPAQUE:
        return f"no operators are known of the kind '{layer.kind}'"
    reasons = [graph.groups[group].frozen for group in layer.groups]
    known = [reason for reason in reasons if reason and "cannot follow" in reason]
    return known[0] if known else "easearch cannot follow it"


def input_shapes(shape: Shape) -> list[tuple[int, ...]]:
    """Sizes of each tensor that a layer reads, as far as its shape alone can tell.

    Of several, those of the option `operands` (whole), or of `sizes` (all but the channels);
    those of a concatenation are taken to be equal shares of the sum, all others to be like the
    first.
    """
    options, many = dict(shape.options), _arity(shape)
    if "operands" in options:
        return list(options["operands"][:many])
    if "sizes" in options:
        return [_sized(shape, size) for size in options["sizes"]]
    if shape.kind == "concat":
        whole, axis = shape.out_shape, len(shape.out_shape) + options["axis"]
        shares = [whole[axis] // many + (i < whole[axis] % many) for i in range(many)]
        return [(*whole[:axis], share, *whole[axis + 1 :]) for share in shares]
    return [shape.in_shape] * many


def _sized(shape: Shape, size: tuple[int, ...]) -> tuple[int, ...]:
    if shape.in_axis is None:
        return size
    return (*size[: shape.in_axis], shape.in_channels, *size[shape.in_axis :])


def _arity(shape: Shape) -> int:
    """How many tensors a layer reads."""
    names = [name for op in KINDS[shape.kind].ops(shape) for name in op.inputs]
    return 1 + max((int(name[1:] or 0) for name in names if name.startswith("x")), default=0)


class _Build:
    """One model under construction."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, sizes: Sequence[int]) -> str:
        """Declare an input of those sizes."""
        self.inputs.append(_value(name, sizes))
        return name

    def output(self, name: str, sizes: Sequence[int]) -> None:
        """Declare a value as an output of the model."""
        self.outputs.append(_value(name, sizes))

    def picked(self, name: str, axes: int) -> str:
        """Pick the first number of a value; return its name. (A view would be copied out.)"""
        corners = {f"{name}:from": np.zeros, f"{name}:to": np.ones}
        for corner, make in corners.items():
            self.weights.append(numpy_helper.from_array(make(axes, np.int64), corner))
        self.nodes.append(helper.make_node("Slice", [name, *corners], [f"{name}:picked"]))
        return f"{name}:picked"

    def weight(self, name: str, sizes: tuple[int, ...]) -> str:
        """Keep random numbers in the model."""
        array = self._normal(name, sizes)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def layer(self, name: str, shape: Shape, inputs: Sequence[str]) -> str:
        """Append a layer's operators; return the name of its output."""
        made: list[str] = []
        for number, op in enumerate(KINDS[shape.kind].ops(shape)):
            sources = [_source(key, inputs, made) for key in op.inputs]
            made.append(f"{name}/{number}")
            self.nodes.append(
                helper.make_node(
                    op.type,
                    sources + self._constants(made[-1], op),
                    [made[-1], *(f"{made[-1]}.{more}" for more in range(1, op.outputs))],
                    name=made[-1],
                    **{key: _plain(value) for key, value in op.attributes},
                )
            )
        return made[-1] if made else inputs[0]

    def _constants(self, name: str, op: Op) -> list[str]:
        arrays = [self._random(f"{name}:{i}", op, i) for i in range(len(op.weights))]
        arrays += [np.float32(scalar) for scalar in op.scalars]
        arrays = [np.asarray(array, np.float32) for array in arrays]
        arrays += [np.asarray(numbers, np.int64) for numbers in op.integers]
        names = [f"{name}:{i}" for i in range(len(arrays))]
        for key, array in zip(names, arrays, strict=True):
            self.weights.append(numpy_helper.from_array(array, key))
        return names

    def _random(self, name: str, op: Op, number: int) -> Any:
        if op.type == "BatchNormalization" and number == 3:
            return self._draw(name).uniform(0.5, 1.5, op.weights[number])  # a variance
        return self._normal(name, op.weights[number])

    def _normal(self, name: str, shape: tuple[int, ...]) -> Any:
        # Values keep their size from layer to layer, so none becomes denormal, which would be slow.
        scale = 1 / math.sqrt(max(1, math.prod(shape[1:])))
        return self._draw(name).standard_normal(shape, dtype=np.float32) * np.float32(scale)

    def _draw(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def model(self) -> ModelProto:
        """The finished model."""
        graph = helper.make_graph(self.nodes, "easearch", self.inputs, self.outputs, self.weights)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def _serialized(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString())


def _value(name: str, sizes: Sequence[int]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes))


def _source(key: str, inputs: Sequence[str], made: Sequence[str]) -> str:
    if not key:
        return ""  # an optional input that is left out
    return inputs[int(key[1:] or 0)] if key.startswith("x") else made[int(key)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

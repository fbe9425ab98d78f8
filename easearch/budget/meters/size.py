"""Size: bytes of the weights as an exported file stores them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from onnx import TensorProto

from easearch.budget.devices import Device
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.kernels import MATRIX_KINDS, kernels, shapes_of
from easearch.budget.latency.quantized import OPERATORS
from easearch.budget.meters.meter import LayerMeter, Reading
from easearch.graph import Graph, Shape
from easearch.roles import Item
from easearch.tracing import KINDS

BYTES = 4
SCALED = 4 + 1
"""Bytes beside the weights of an int8 channel: its scale and its zero point."""
BIASED = 4 + 4 + 4
"""Bytes of an int8 channel's bias: itself, as int32, its scale and its zero point."""
STORED: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.INT32: 4,
}
"""Types of stored weights -> bytes a number. (Shapes and axes, which are int64, are no weights.)"""


class Size(LayerMeter):
    """Bytes of weights in the file: what flash or a download must hold, but for the file's frame.

    A norm behind a convolution is folded into its weight and bias; any other is stored whole, with
    running statistics, or the ones and zeros of a norm that has no scale. fp32 takes 4 bytes a
    number. int8 takes 1 byte a weight of a convolution or linear layer, 5 bytes more a channel
    (scale, zero point) and 12 a bias (int32, scale, zero point), as ONNX Runtime's static
    quantization writes them channel by channel, and 1 byte any other number that it quantizes;
    norms stay fp32.

    A convolution that is called twice keeps its weight to itself: no norm is folded into it.
    Layers that easearch does not know store all their tensors in float32; heads that help to train
    are not in the file. Scalars (the bounds of a
    clip, the scale of a map), shapes and factors of a resize are not counted. The file of an
    attention with a mask, or of shifted windows, holds constants besides.
    """

    name = "size"
    unit = "bytes"

    def __init__(self, device: str | Device = "host", precision: str = "fp32") -> None:
        """Take `device` so that all meters are made alike: counting needs none."""
        self.precision = precision

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every item that stores numbers. A tensor is the first holder's."""
        items = stored_items(graph)
        return (tuple(item for item in items if self.stored(shapes_of(graph, item))),)

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """Bytes of each item's weights."""
        return [float(self.stored(item)) for item in items]

    def stored(self, item: tuple[Shape, ...]) -> int:
        """Bytes of one item's weights."""
        head, *rest = item
        if head.kind not in MATRIX_KINDS:
            return sum(map(self._plain, item))
        norms = [shape for shape in rest if shape.kind == "batch_norm"]
        biases = head.numbers(trained=False, role="bias")
        weights = head.numbers(trained=False) - biases
        if norms and not head["bias"]:
            biases = head.out_channels
        others = sum(self._plain(shape) for shape in rest if shape not in norms)
        return others + self._matrix(head, weights, biases)

    def uncounted(self, graph: Graph) -> tuple[str, ...]:
        """None: of an opaque layer's tensors nothing but their number matters."""
        return ()

    def on_file(self, file: OnnxFile) -> Reading:
        """Bytes of the file's stored tensors."""
        whole = file.path.stat().st_size
        return Reading(
            value=float(weight_bytes(file)),
            note=f"the weights alone; the whole file has {whole:,} bytes",
        )

    def _matrix(self, head: Shape, weights: int, biases: int) -> int:
        if self.precision == "fp32":
            return BYTES * (weights + biases)
        # With positions besides, a linear layer's bias is an addition of its own.
        biased = 1 if head.kind == "linear" and head.out_size else BIASED
        return weights + (SCALED * head.out_channels if weights else 0) + biased * biases

    def _plain(self, shape: Shape) -> int:
        """Bytes of a layer that takes no norm in."""
        numbers = _numbers(shape)
        if self.precision == "fp32" or not numbers or shape.kind not in KINDS:
            return BYTES * numbers
        ops = [op for op in KINDS[shape.kind].ops(shape) if op.weights]
        exact = sum(sum(map(math.prod, op.weights)) for op in ops if op.type not in OPERATORS)
        channels = sum(op.weights[0][-1] for op in ops if op.type == "MatMul")
        return BYTES * exact + numbers - exact + SCALED * channels


def stored_items(graph: Graph) -> list[Item]:
    """The items of which a file stores the weights together, norms folded."""
    users = Counter(held.path for layer in graph.layers for held in layer.tensors)
    found: list[Item] = []
    for item in kernels(graph):
        several = any(users[held.path] > 1 for held in graph.by_name[item[0]].tensors)
        found += [(name,) for name in item] if several else [item]
    return found


def weight_bytes(file: OnnxFile) -> int:
    """Bytes of a file's weights, each tensor once, without scalars, shapes and resize factors."""
    nodes = file.model.graph.node
    factors = {name for node in nodes if node.op_type == "Resize" for name in node.input[1:]}
    return sum(
        STORED.get(tensor.data_type, 0) * math.prod(tensor.dims)
        for tensor in file.model.graph.initializer
        if tensor.dims and tensor.name not in factors
    )


def _numbers(shape: Shape) -> int:
    """Numbers of a layer that nothing is folded into; a norm stores what its operator reads."""
    if shape.kind.endswith("_norm") and not shape.shared:
        return sum(math.prod(size) for op in KINDS[shape.kind].ops(shape) for size in op.weights)
    return shape.numbers(trained=False)

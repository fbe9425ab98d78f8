"""A quantized file as ONNX Runtime executes it: which operators take and make 8 bits themselves.

In the file every operator stands between conversions (QuantizeLinear, DequantizeLinear). Where the
runtime has a kernel of 8 bits they are one with the operator, elsewhere they are done. Seen in
what ONNX Runtime 1.31 makes of such files on load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from easearch.budget.exported.memory import VIEWS, Step

CONVERSIONS = QUANTIZE, DEQUANTIZE = ("QuantizeLinear", "DequantizeLinear")
EIGHT_BITS = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Sigmoid", "LeakyRelu", "Softmax", "Concat"),
    *("GlobalAveragePool", "AveragePool", "MaxPool", "Gather", "Slice", "Split", "Transpose"),
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "DepthToSpace", "ReduceMax", "Where"),
)
"""Operators with kernels of 8 bits."""


def executed(nodes: Sequence[Any], stored: Collection[str], ends: Collection[str]) -> list[Step]:
    """The operators of a file as they are executed, one with the conversions that they take in.

    Args:
        nodes: the file's operators in their order.
        stored: names of weights: what is made of these alone is none of the values.
        ends: names of the outputs.
    """
    return list(_Reading(nodes, stored, ends).steps())


class _Reading:
    def __init__(
        self, nodes: Sequence[Any], stored: Collection[str], ends: Collection[str]
    ) -> None:
        self.nodes, self.ends = nodes, set(ends)
        self.stored = set(stored)
        self.users: dict[str, list[Any]] = {}
        self.packed: dict[str, str] = {}
        """A value in float32 -> the same in 8 bits, where the file has it so."""
        for node in nodes:
            for name in dict.fromkeys(node.input):
                self.users.setdefault(name, []).append(node)
            if self.stored.issuperset(filter(None, node.input)):  # computed when it is loaded
                self.stored.update(node.output)
            elif node.op_type == DEQUANTIZE:
                self.packed[node.output[0]] = node.input[0]

    def steps(self) -> Iterator[Step]:
        """Conversions that are done stand right before what needs them."""
        there: set[str] = set()
        taken_in: set[str] = set()
        for node in self.nodes:
            inputs = [name for name in node.input if name and name not in self.stored]
            if self.stored.issuperset(node.output):
                continue
            if node.op_type == DEQUANTIZE or node.output[0] in taken_in:
                if node.output[0] in self.ends and node.output[0] in self.packed:
                    yield from self._unpacked(node.output, there)
            elif self._in_eight_bits(node, inputs):
                outputs = [self.users[name][0].output[0] for name in node.output]
                taken_in.update(outputs)
                kind = node.op_type if node.op_type in VIEWS else f"QLinear{node.op_type}"
                packed = tuple(self.packed.get(name, name) for name in inputs)
                yield Step(kind, packed, tuple(outputs))
            else:
                yield from self._unpacked(inputs, there)
                yield Step(node.op_type, tuple(inputs), tuple(node.output))

    def _unpacked(self, names: Sequence[str], there: set[str]) -> Iterator[Step]:
        for name in names:
            if name in self.packed and name not in there:
                there.add(name)
                yield Step(DEQUANTIZE, (self.packed[name],), (name,))

    def _in_eight_bits(self, node: Any, inputs: Sequence[str]) -> bool:
        condition = node.input[0] if node.op_type == "Where" else None
        numbers = [name for name in inputs if name != condition]
        return (
            node.op_type in EIGHT_BITS
            and bool(numbers)
            and all(name in self.packed for name in numbers)
            and all(self._only_quantized(name) for name in node.output)
        )

    def _only_quantized(self, name: str) -> bool:
        users = self.users.get(name, [])
        return name not in self.ends and len(users) == 1 and users[0].op_type == QUANTIZE

"""What an exported file computes and moves, by the rules of `traffic`, from its own nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import onnx
from onnx import TensorProto

from easearch.budget.exported.file import OnnxFile
from easearch.budget.exported.memory import ACTIVATIONS, ARITHMETIC, MATRIX, VIEWS, Step
from easearch.budget.meters.size import STORED, weight_bytes
from easearch.budget.traffic import Traffic

PASSING = (*VIEWS, "QuantizeLinear", "DequantizeLinear")
"""Operators that a runtime fuses away: the value behind is the value before."""
NO_MAPS = (*PASSING, "Constant", "Shape", "Size", "ConstantOfShape")
FORMULAS = frozenset(ACTIVATIONS) - {"PRelu"}
ELEMENTWISE = (*FORMULAS, *ARITHMETIC)
INTEGER_OPERATORS = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QGemm")
HEADS = (*MATRIX, "ConvTranspose", *INTEGER_OPERATORS)
SIZES = (TensorProto.INT64, TensorProto.BOOL)
"""Types of the arithmetic on shapes, which moves next to nothing."""


def file_traffic(file: OnnxFile) -> Traffic:
    """Of one sample through the file.

    Raises:
        FileFormatError: a shape cannot be inferred.
    """
    return _Steps(file).traffic()


class _Steps:
    """The operators of a file that compute maps, views and quantizers looked through."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        nodes = file.model.graph.node
        self.makers = {name: node for node in nodes for name in node.output}
        self.ends = {self._source(value.name) for value in file.model.graph.output}
        self.rounded = {
            self._source(node.input[0]) for node in nodes if node.op_type == "QuantizeLinear"
        }
        """Values that are kept as int8."""

    def traffic(self) -> Traffic:
        """Steps executed as one move what goes in and what comes out."""
        macs = {"fp32": 0.0, "int8": 0.0}
        numbers = 0
        taken: set[Step] = set()
        for step in self.steps:
            if step not in taken:
                region = self._region(step)
                taken.update(region)
                numbers += sum(self._bytes(name) for name in self._crossing(region))
            node = self.makers[step.outputs[0]]
            macs[self._precision(node)] += self.file.node_macs(node)
        return Traffic(macs=macs, nbytes=float(numbers + weight_bytes(self.file)))

    @cached_property
    def types(self) -> Mapping[str, int]:
        """Element types of values, as far as they can be inferred."""
        graph = onnx.shape_inference.infer_shapes(self.file.model, data_prop=True).graph
        known = (*graph.input, *graph.value_info, *graph.output)
        return {value.name: value.type.tensor_type.elem_type for value in known}

    @cached_property
    def steps(self) -> list[Step]:
        """In the order of execution, with the maps that each reads."""
        return [
            Step(node.op_type, tuple(self._maps(node)), tuple(filter(None, node.output)))
            for node in self.file.model.graph.node
            if node.op_type not in NO_MAPS and self.types.get(node.output[0]) not in SIZES
        ]

    @cached_property
    def users(self) -> Mapping[str, Sequence[Step]]:
        """For every value, the steps that read it."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                found.setdefault(name, []).append(step)
        return found

    def _source(self, name: str) -> str:
        while name in self.makers and self.makers[name].op_type in PASSING:
            name = self.makers[name].input[0]
        return name

    def _maps(self, node: Any) -> Iterator[str]:
        """What a node reads besides stored numbers and sizes."""
        for name in map(self._source, filter(None, node.input)):
            constant = name in self.makers and self.makers[name].op_type == "Constant"
            if not constant and name not in self.file.weights and self.types.get(name) not in SIZES:
                yield name

    def _region(self, step: Step) -> list[Step]:
        """The step with what is executed in one with it, as `kernels` has it for layers."""
        if step.type not in HEADS:
            return (self._formula(step.inputs[0], step) if step.inputs else []) or [step]
        region = [step]
        behind = self._only_user(step)
        if step.type == "MatMul" and behind and behind.type == "Add" and len(behind.inputs) == 1:
            region.append(behind)  # a bias
        behind = self._only_user(region[-1])
        if behind and behind.type == "BatchNormalization":
            region.append(behind)
        made = region[-1].outputs[0]
        users = self.users.get(made, ())
        formula = self._formula(made, users[0]) if users and made not in self.ends else []
        return region + formula if set(users) <= set(formula) else region

    def _formula(self, value: str, first: Step) -> list[Step]:
        """Element-wise steps that are one function of a value, from their first on; or none."""
        found: list[Step] = []
        inside = {value}
        for step in self.steps[self.steps.index(first) :]:
            if step.type in ELEMENTWISE and step.inputs and inside.issuperset(step.inputs):
                found.append(step)
                inside.update(step.outputs)
                if self._is_whole(found, inside):
                    return found if any(one.type in FORMULAS for one in found) else []
            elif step == first:
                break
        return []

    def _is_whole(self, found: Sequence[Step], inside: set[str]) -> bool:
        """Whether one value leaves the steps and nothing besides them is made of the same."""
        leaving = self._leaving(found)
        near = [
            user
            for name in inside.difference(leaving)
            for user in self.users.get(name, ())
            if user not in found and user.type in ELEMENTWISE and inside.issuperset(user.inputs)
        ]
        return len(leaving) == 1 and not near

    def _only_user(self, step: Step) -> Step | None:
        users = self.users.get(step.outputs[0], ())
        return users[0] if len(users) == 1 and step.outputs[0] not in self.ends else None

    def _leaving(self, region: Sequence[Step]) -> list[str]:
        """The values made in a region that are read outside of it."""
        return [
            name
            for step in region
            for name in step.outputs
            if name in self.ends or not set(self.users.get(name, ())) <= set(region)
        ]

    def _crossing(self, region: Sequence[Step]) -> list[str]:
        made = {name for step in region for name in step.outputs}
        reads = [name for step in region for name in step.inputs if name not in made]
        # A step may read one value twice; steps executed as one share it.
        return [*(reads if len(region) == 1 else dict.fromkeys(reads)), *self._leaving(region)]

    def _bytes(self, name: str) -> int:
        each = 1 if name in self.rounded else STORED.get(self.types.get(name, 0), 4)
        return each * math.prod(self.file.shape_of(name))

    def _precision(self, node: Any) -> str:
        makers = [self.makers.get(name) for name in node.input[:2]]
        scaled = [made is not None and made.op_type == "DequantizeLinear" for made in makers]
        return "int8" if node.op_type in INTEGER_OPERATORS or scaled == [True, True] else "fp32"

"""An ONNX model as steps of plain eager torch, on a CPU or a GPU.

What is the same at every run (weights, shapes, whatever is computed from these alone) is computed
once, on the CPU; the rest is one call of a torch function a node. A value is let go after its last
use, as in a module's `forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from easearch.budget.devices import runner
from easearch.budget.devices.torch_operators import RULES, Function, Node, NoRule, stored
from easearch.budget.devices.torch_operators.node import WITHOUT_EFFECT
from easearch.errors import DeviceError

OLDEST = 13
"""Opset since which sizes and axes are inputs and Softmax is over one axis."""
ELSEWHERE = "run it on a device with `reach: host` or `reach: ssh`, where ONNX Runtime runs it"
NOTHING, UNNAMED = 0, 1
"""Places of an input that is left out, and of outputs that nobody reads."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An input of a model, as `runner.random_arrays` wants it."""

    name: str
    type: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One call: places of what it reads, writes, and what nobody reads after it."""

    function: Function
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    last: tuple[int, ...] = ()


class Program:
    """A model ready to run on random inputs, having run once. For `torch.inference_mode`.

    Args:
        model: a serialized model, or the name of a file.
        device: where it runs.
        sample: (N, C, ...), sizes for dimensions that the model leaves open; the batch is 1.

    Raises:
        DeviceError: the model cannot be read, an operator has no rule, or torch fails.
    """

    def __init__(
        self, model: bytes | str, device: torch.device, sample: Sequence[int] | None = None
    ) -> None:
        self.device = device
        self._named = "a generated model" if isinstance(model, bytes) else Path(model).name
        graph = self._read(model).graph
        self._values: dict[str, Tensor] = {}
        self._known: set[str] = set()
        self._places: dict[str, int] = {"": NOTHING}
        self._start: list[Tensor | None] = [None, None]
        try:
            self._weights(graph)
            self.inputs = self._random_inputs(graph, sample)
            steps = [step for node in graph.node if (step := self._step(node)) is not None]
        except NoRule as error:
            raise DeviceError(
                f"plain torch has no rule for {error} in {self._named}; {ELSEWHERE}"
            ) from None
        except (RuntimeError, TypeError, ValueError, LookupError, runner.CannotRun) as error:
            reason = str(error).strip().partition("\n")[0]
            raise DeviceError(f"torch cannot run {self._named}: {reason}") from error
        self._outputs = [self._place(value.name) for value in graph.output]
        self._steps = _lasting(steps, self._outputs)
        self._values.clear()

    def run(self) -> list[Tensor]:
        """The outputs for the random inputs."""
        values: list[Any] = self._start.copy()
        for step in self._steps:
            made = step.function(*[values[place] for place in step.reads])
            if isinstance(made, Tensor):
                values[step.writes[0]] = made
            else:
                for place, value in zip(step.writes, made, strict=False):
                    values[place] = value
            for place in step.last:
                values[place] = None
        return [values[place] for place in self._outputs]

    def _read(self, model: bytes | str) -> Any:
        try:
            read: Any = (
                onnx.load_model_from_string(model) if isinstance(model, bytes) else onnx.load(model)
            )
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise DeviceError(f"expected an ONNX file, got {self._named}: {reason}") from error
        opset = max((one.version for one in read.opset_import if not one.domain), default=0)
        if opset < OLDEST:
            raise DeviceError(
                f"plain torch runs ONNX files of opset {OLDEST} and later, got {opset} in "
                f"{self._named}; export it again, or {ELSEWHERE}"
            )
        unknown = {_operator(node) for node in read.graph.node} - set(RULES)
        if unknown:
            listed = ", ".join(f"'{name}'" for name in sorted(unknown))
            raise DeviceError(
                f"plain torch has no rule for the operator {listed} in {self._named}; {ELSEWHERE}"
            )
        return read

    def _weights(self, graph: Any) -> None:
        for tensor in graph.initializer:
            self._values[tensor.name] = stored(tensor)
            self._known.add(tensor.name)

    def _random_inputs(self, graph: Any, sample: Sequence[int] | None) -> dict[str, Tensor]:
        entries = [_entry(value) for value in graph.input if value.name not in self._known]
        arrays = runner.random_arrays(entries, sample)
        inputs = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        self._values.update(inputs)
        for name, value in inputs.items():
            self._start[self._place(name)] = value
        return inputs

    def _step(self, node: Any) -> _Step | None:
        """The node run once, and how to run it again; None: its outputs are known."""
        rule, seen = RULES[_operator(node)], self._seen(node)
        function = rule.make(seen)
        unread = sorted(set(seen.attributes) - seen.read - WITHOUT_EFFECT)
        if unread:
            raise seen.refused(", ".join(f"{name}={seen.attributes[name]}" for name in unread))
        names = list(node.input)[: rule.tensors]
        while names and not names[-1]:
            names.pop()
        known = all(name in self._known or not name for name in names)
        step = None
        if known:
            made = function(*[self._values.get(name) for name in names])
        else:
            reads = tuple(self._place(name) for name in names)
            made = function(*[self._here(name) for name in names])
            step = _Step(function=function, reads=reads, writes=self._writes(node))
        self._keep(node, made, known)
        return step

    def _seen(self, node: Any) -> Node:
        for name in node.input:
            if name and name not in self._values:
                raise LookupError(f"'{name}' is read and was never made")
        values = tuple(self._values[name] if name else None for name in node.input)
        return Node(
            type=node.op_type,
            attributes={a.name: _plain(helper.get_attribute_value(a)) for a in node.attribute},
            values=values,
            known=tuple(name in self._known for name in node.input),
            outputs=len(node.output),
        )

    def _keep(self, node: Any, made: Any, known: bool) -> None:
        found = (made,) if isinstance(made, Tensor) else made
        if any(node.output[len(found) :]):
            raise NoRule(f"{node.op_type} with {len(node.output)} outputs")
        self._values.update(zip(node.output, found, strict=False))
        if known:
            self._known.update(node.output)

    def _writes(self, node: Any) -> tuple[int, ...]:
        return tuple(self._place(name) if name else UNNAMED for name in node.output)

    def _place(self, name: str) -> int:
        """Where a value stands during a run; a known one stands there from the start."""
        if name not in self._places:
            self._places[name] = len(self._start)
            self._start.append(self._values[name].to(self.device) if name in self._known else None)
        return self._places[name]

    def _here(self, name: str) -> Tensor | None:
        return self._start[self._place(name)] if name in self._known else self._values.get(name)


def _lasting(steps: Sequence[_Step], outputs: Sequence[int]) -> list[_Step]:
    """Steps that let values go which no later step reads."""
    needed = {NOTHING, *outputs}
    found = []
    for step in reversed(steps):
        last = {*step.reads, *step.writes} - needed
        needed |= last
        found.append(
            _Step(
                function=step.function,
                reads=step.reads,
                writes=step.writes,
                last=tuple(sorted(last)),
            )
        )
    return found[::-1]


def _entry(value: Any) -> Entry:
    tensor = value.type.tensor_type
    name = TensorProto.DataType.Name(tensor.elem_type).lower()
    dims = (dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return Entry(name=value.name, type=f"tensor({name})", shape=tuple(dims))


def _operator(node: Any) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain else str(node.op_type)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value

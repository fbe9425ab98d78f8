"""A model as a function of tensors: what torch.fx, torch.export and the exporter to ONNX take.

Inputs of any structure become tensors by name, `x`, `batch.image`; what the model gives becomes a
tuple of tensors, and is put together again from them.
"""

from __future__ import annotations

import enum
import inspect
import keyword
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.errors import GraphError
from easearch.structures import Structure, arguments, by_path, leaves, replaced

CONSTANTS = (
    *(type(None), bool, int, float, complex, str, bytes, enum.Enum),
    *(torch.dtype, torch.device, torch.Size, slice),
)
"""What may stand in a structure beside tensors."""
VALUES = (Tensor, fx.Proxy, torch.SymInt, torch.SymFloat, torch.SymBool)
"""What a program computes."""


class Hole:
    """Stands in an output's structure where a tensor was."""


class Inputs:
    """Inputs of a model by the names of its forward pass' arguments.

    Args:
        model: its forward pass' signature counts.
        inputs: a structure with at least one tensor; optional arguments may be left out.

    Raises:
        GraphError: the model does not take them.
    """

    def __init__(self, model: nn.Module, inputs: Structure) -> None:
        self._model = type(model).__name__
        self._signature = inspect.signature(model.forward)
        found = self._values(inputs)
        self.paths = tuple(path for path, leaf in found.items() if isinstance(leaf, Tensor))
        if not self.paths:
            raise GraphError(
                f"expected a sample with at least one tensor, got {described(inputs)}; give an "
                "input as the model takes it: a tensor, a tuple, or a dict of named inputs"
            )
        self.names = _identifiers(self.paths)

    def of(self, inputs: Structure) -> tuple[Any, ...]:
        """The tensors of inputs of the same structure, in order.

        Raises:
            GraphError: the structure is another.
        """
        found = self._values(inputs)
        missing = [path for path in self.paths if not isinstance(found.get(path), Tensor)]
        more = [p for p, v in found.items() if isinstance(v, Tensor) and p not in self.paths]
        if missing or more:
            raise GraphError(
                f"expected the inputs {_listed(self.paths)}, as in the sample that {self._model} "
                f"was traced with, got {_listed(found)}; give all batches the same inputs"
            )
        return tuple(found[path] for path in self.paths)

    def bound(self, inputs: Structure) -> inspect.BoundArguments:
        """The inputs by the names of the arguments.

        Raises:
            GraphError: the forward pass does not take them.
        """
        positional, keywords = arguments(inputs)
        try:
            return self._signature.bind(*positional, **keywords)
        except TypeError as error:
            raise GraphError(
                f"expected inputs as {self._model}.forward{self._signature} takes them, got "
                f"{described(inputs)}: {error}; a tuple stands for positional arguments, a dict "
                "for keyword arguments"
            ) from None

    def _values(self, inputs: Structure) -> dict[str, Any]:
        bound = dict(self.bound(inputs).arguments)
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:  # always the last
                bound |= bound.pop(name, {})
        return by_path(bound)


class Flat:
    """The model as a function of the tensors in its inputs.

    `module` is a copy of the model that shares all of its parts; its forward pass takes the tensors
    in the order of `inputs.names` and gives a tuple of those in the model's outputs.
    """

    def __init__(
        self, model: nn.Module, inputs: Structure, values: tuple[type, ...] = VALUES
    ) -> None:
        """`values` are the types of what `module` gives; all else in the outputs is constant."""
        self._values = values
        self.inputs = Inputs(model, inputs)
        self.gave: Structure = None
        """The structure of the outputs at the last call, with holes for its tensors."""
        self.sample = inputs
        self._hooked = bool(model._forward_hooks or model._forward_pre_hooks)
        self.body = _sharing(model)
        self.module = _sharing(model)
        self.module.__dict__.update(
            forward=self._forward(), _forward_hooks={}, _forward_pre_hooks={}
        )

    def symbolic(self, tracer: type[fx.Tracer] = fx.Tracer) -> fx.GraphModule:
        """The program that torch.fx sees; it takes and gives what the model does."""
        if self._hooked:
            raise GraphError("hooks decide on what the model computes")
        flat = self

        class Tracer(tracer):  # type: ignore[misc, valid-type]
            def create_args_for_root(self, *_: Any, **__: Any) -> tuple[Any, list[Any]]:
                """A placeholder for every tensor, none for what is left out."""
                return flat.module.forward, [
                    self.create_proxy("placeholder", name, (), {}) for name in flat.inputs.names
                ]

        made = Tracer()
        graph = made.trace(self.module)
        return self.structured(fx.GraphModule(made.root, graph, type(self.body).__name__))

    def structured(self, traced: fx.GraphModule) -> fx.GraphModule:
        """A program of the flat module, made to take and give what the model does."""
        traced.graph.set_codegen(Structured(self.inputs, self.gave))
        return traced

    def _forward(self) -> Callable[..., Any]:
        body = self.body.__call__ if self._hooked else self.body.forward

        def forward(*values: Any) -> tuple[Any, ...]:
            left, bound = iter(values), self.inputs.bound(self.sample)
            filled = replaced(
                lambda leaf: next(left) if isinstance(leaf, Tensor) else leaf,
                dict(bound.arguments),
            )
            bound.arguments.update(filled)
            outputs = body(*bound.args, **bound.kwargs)
            found = [leaf for _, leaf in leaves(outputs)]
            for leaf in found:
                check_given(leaf)
            self.gave = replaced(
                lambda leaf: Hole if isinstance(leaf, self._values) else leaf, outputs
            )
            return tuple(leaf for leaf in found if isinstance(leaf, self._values))

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind) for name in self.inputs.names]
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return forward


class Structured(fx.graph.CodeGen):
    """Makes a program run on inputs as the model takes them, and give what the model gives:
    `fx.Interpreter(program).run(inputs)`.
    """

    def __init__(self, inputs: Inputs, gave: Structure) -> None:
        super().__init__()
        self.inputs, self.gave = inputs, gave

    def process_inputs(self, *args: Any) -> tuple[Any, ...]:
        """The values of the placeholders; several arguments are positional ones."""
        return self.inputs.of(args[0] if len(args) == 1 else args)

    def process_outputs(self, outputs: Any) -> Structure:
        """The outputs in their structure."""
        left = iter(outputs)
        return replaced(lambda leaf: next(left) if leaf is Hole else leaf, self.gave)


def check_given(leaf: Any) -> None:
    """Refuse an output in which tensors could hide.

    Raises:
        GraphError: with its type.
    """
    if not isinstance(leaf, (*VALUES, *CONSTANTS)):
        raise GraphError(
            "expected a model that gives tensors, or tuples, lists, dicts or dataclasses of them, "
            f"got a {type(leaf).__name__} in its outputs; give its tensors instead"
        )


def described(value: Structure) -> str:
    """A value for people: `a tensor (2, 3)`, `a tuple of 0 (2, 3), 1 (2, 7) int64`."""
    if isinstance(value, str) or not isinstance(value, Tensor | tuple | list | Mapping):
        return "None" if value is None else f"a {type(value).__name__}"
    parts = [f"{path} {_told(leaf)}".strip() for path, leaf in leaves(value) if leaf is not None]
    told = ", ".join(parts[:6]) + (", ..." if len(parts) > 6 else "")
    if isinstance(value, Tensor):
        return f"a tensor {told}"
    kind = type(value).__name__
    return f"a {kind} of {told}" if parts else f"an empty {kind}"


def _told(leaf: Any) -> str:
    if not isinstance(leaf, Tensor):
        return f"a {type(leaf).__name__}"
    kind = str(leaf.dtype).removeprefix("torch.")
    return f"{tuple(leaf.shape)}" + ("" if kind == "float32" else f" {kind}")


def _sharing(model: nn.Module) -> nn.Module:
    """Another module of the same type over the same parts."""
    made = object.__new__(type(model))
    made.__dict__.update(model.__dict__)
    return made


def _listed(paths: Any) -> str:
    return ", ".join(f"'{path}'" for path in paths) or "none"


def _identifiers(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Names for Python, one a path."""
    found: list[str] = []
    for path in paths:
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in path) or "input"
        if not name.isidentifier() or keyword.iskeyword(name):
            name = f"input_{name}"
        number = 1
        while (again := name if number == 1 else f"{name}_{number}") in found:
            number += 1
        found.append(again)
    return tuple(found)

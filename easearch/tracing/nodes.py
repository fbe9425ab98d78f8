"""Nodes of a program as calls that kinds can read: tensors, parameters and numbers in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from easearch.tracing.call import Call, Computed, Derived, Parameter, Value
from easearch.tracing.program import caller, canonical, picked

RESULTS = {"values": 0, "indices": 1}
"""Attributes by which the results of `max` and its like are taken."""


class Calls:
    """Reads the nodes of one program, of which is known what each gives."""

    def __init__(self, model: nn.Module, names: Mapping[fx.Node, str], seen: dict[fx.Node, Any]):
        self._model, self._names, self.seen = model, names, seen
        self.values: dict[fx.Node, Value] = {}
        """The tensors between layers, as far as the walk has come."""
        self.computed: dict[fx.Node, Computed] = {}
        """Tensors that are made of parameters alone and are no layers so far."""
        self.paths = canonical(model)
        self._first: dict[fx.Node, fx.Node] = {}
        """A node that gives several tensors -> the first of these that was asked for."""
        self._trained = {path for path, _ in model.named_parameters()}
        inputs = (seen.get(node) for node in names if node.op == "placeholder")
        self.batch = next((len(x) for x in inputs if isinstance(x, Tensor) and x.dim()), 2)

    def call(self, node: fx.Node) -> Call:
        """The call whose result a node is: of a piece, the call that gave it with others."""
        source, piece = self.source(node)
        first = self._first.setdefault(source, node) is node
        return self._call(source, self.seen[node], piece, first)

    def source(self, node: fx.Node) -> tuple[fx.Node, int | None]:
        """The node that calls, and which of its results this one is, nested ones counted through;
        the node itself where it gives a tensor.
        """
        first = node.args[0] if node.op == "call_function" and node.args else None
        if isinstance(first, fx.Node) and several(self.seen.get(first)):
            number = node.args[1] if picked(node) else None
            if node.target is getattr:
                number = RESULTS.get(str(node.args[1]))
            if isinstance(number, int):
                outer, before = self.source(first)
                given = self.seen[first]
                return outer, (before or 0) + sum(map(_leaves, given[: number % len(given)]))
        return node, None

    def operands(self, node: fx.Node) -> tuple[Value, ...]:
        """The tensors that go into a node."""
        return self._call(node, None, None).values

    def describe(self, node: fx.Node) -> str:
        """The node's call, for people: 'features.3' (Conv2d)."""
        node, _ = self.source(node)
        if node.op == "call_module":
            module = self._model.get_submodule(str(node.target))
            return f"'{node.target}' ({type(module).__name__})"
        target: Any = node.target
        called = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        return f"'{self._names[node]}' ({called})"

    def parameter(self, node: fx.Node) -> Parameter | None:
        """The parameter or buffer that a node stands for, if it does."""
        path = self.paths.get(str(node.target)) if node.op == "get_attr" else None
        if path is None:
            return None
        shape = tuple(self.seen[node].shape)
        return Parameter(path=path, shape=shape, trained=path in self._trained)

    def _call(self, node: fx.Node, gives: Any, piece: int | None, first: bool = True) -> Call:
        module = self._model.get_submodule(str(node.target)) if node.op == "call_module" else None
        inside = caller(node)
        args: Any = fx.node.map_arg(node.args, self._operand)
        return Call(
            module=module,
            path=str(node.target) if module is not None else "",
            owner=self._model.get_submodule(inside) if inside else None,
            target=node.target,
            args=tuple(args),
            kwargs=dict(fx.node.map_arg(node.kwargs, self._operand)),
            out_shape=tuple(gives.shape) if isinstance(gives, Tensor) else (),
            piece=piece,
            first=first,
            batch=self.batch,
        )

    def _operand(self, node: fx.Node) -> Any:
        if node in self.values:
            return self.values[node]
        if node in self.computed:
            return self.computed[node]
        parameter = self.parameter(node)
        if parameter is not None:
            return parameter
        seen = self.seen[node]
        if several(seen):  # whoever takes them all takes what went in
            return self._call(node, None, None).args
        if isinstance(seen, Tensor):
            unknown = f"it meets '{self._names[node]}', which has its size for good"
            return Value(source="", shape=tuple(seen.shape), unknown=unknown)
        return Derived(value=seen)


def several(seen: Any) -> bool:
    """Whether a call gave several tensors."""
    return isinstance(seen, tuple | list) and any(isinstance(item, Tensor) for item in seen)


def _leaves(seen: Any) -> int:
    return sum(map(_leaves, seen)) if isinstance(seen, tuple | list) else 1

"""A model's program as scoring runs it: nothing overwrites its input, tensors are the model's own.

Layers of the Graph are nodes of the program under the same name. Between two layers stand nodes
that are none: numbers derived from sizes, and calls with several results, of which each result is a
layer. They are run again from the values of the batch at hand.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from easearch.errors import ScoringError
from easearch.graph import Layer
from easearch.structures import Structure
from easearch.tracing.nodes import asks_for_form
from easearch.tracing.program import canonical, layer_names, program

ASSIGNING: Mapping[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class Wires:
    """The program of a model, its nodes by the names of the layers, and its tensors by path."""

    def __init__(self, model: nn.Module, inputs: Structure | None = None) -> None:
        """`inputs`, of one batch, are what torch.export needs where torch.fx cannot follow."""
        self.model = model
        self.traced = program(model, inputs)
        self.names = layer_names(self.traced)
        self.nodes = {name: node for node, name in self.names.items()}
        self.canonical = canonical(model)
        self._tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        _never_in_place(self.traced)

    def node(self, layer: Layer) -> fx.Node:
        """The node of a layer.

        Raises:
            ScoringError: the program has no such layer.
        """
        try:
            return self.nodes[layer.name]
        except KeyError:
            raise ScoringError(
                f"expected a layer '{layer.name}' in the model, as in the graph, got none; trace "
                "this model and score with its own graph"
            ) from None

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls, if it calls one."""
        return self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None

    def tensor(self, node: fx.Node, own: Mapping[str, Tensor]) -> Any:
        """What a get_attr node stands for, with `own` in place of the model's tensors."""
        path = self.canonical.get(str(node.target))
        if path is not None:
            return self.held(path, own)
        found: Any = self.traced
        for part in str(node.target).split("."):
            found = getattr(found, part)
        return found

    def held(self, path: str, own: Mapping[str, Tensor]) -> Tensor:
        """The tensor at a path, with `own` in place of the model's."""
        return own[path] if path in own else self._tensors[path]

    def call(self, node: fx.Node, args: Any, kwargs: Any, own: Mapping[str, Tensor]) -> Any:
        """Run one node on these arguments, with `own` in place of the model's tensors."""
        module, path = self.module(node), str(node.target)
        if module is not None:
            if getattr(module, "inplace", False) is True:
                args = (args[0].clone(), *args[1:])
            held = {name: self.canonical.get(f"{path}.{name}", "") for name in _tensors(module)}
            mine = {name: own[key] for name, key in held.items() if key in own}
            return functional_call(module, mine, args, kwargs) if mine else module(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _tensors(module: nn.Module) -> list[str]:
    return [name for name, _ in (*module.named_parameters(), *module.named_buffers())]


def _never_in_place(traced: fx.GraphModule) -> None:
    """Every call gives a new value; whoever takes the overwritten one later takes the new one."""
    later: dict[fx.Node, fx.Node] = {}
    for node in traced.graph.nodes:
        node.args = fx.node.map_arg(node.args, lambda n: _last(n, later))
        node.kwargs = fx.node.map_arg(node.kwargs, lambda n: _last(n, later))
        if node.op in ("placeholder", "get_attr", "output") or not _made_new(node, traced):
            continue
        base = node.args[0] if node.args else None
        if isinstance(base, fx.Node) and base.op != "get_attr" and not _number(base):
            later[base] = node


def _number(node: fx.Node) -> bool:
    """Whether a node's value follows from sizes: counting it up overwrites nothing."""
    if asks_for_form(node):
        return True
    sources = node.all_input_nodes
    return bool(sources) and all(map(_number, sources))


def _last(node: fx.Node, later: Mapping[fx.Node, fx.Node]) -> fx.Node:
    while node in later:
        node = later[node]
    return node


def _made_new(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Make a call that overwrites its first argument one that does not; whether it was one."""
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        return getattr(module, "inplace", False) is True
    found = _method(str(node.target)) if node.op == "call_method" else _function(node)
    if found is not None:
        node.target = found
        return True
    return _flag_lowered(node)


def _method(name: str) -> str | None:
    if not name.endswith("_") or name.endswith("__"):
        return None
    return name[:-1] if callable(getattr(Tensor, name[:-1], None)) else None


def _function(node: fx.Node) -> Callable[..., Any] | None:
    target: Any = node.target
    if target in ASSIGNING:
        return ASSIGNING[target]
    name = getattr(target, "__name__", "")
    if isinstance(target, torch._ops.OpOverload):
        packet = target._schema.name.split("::")[-1]
        if not packet.endswith("_") or packet.endswith("__"):
            return None
        other = getattr(torch.ops.aten, packet[:-1], None)
        return getattr(other, target._overloadname, None)
    if not name.endswith("_") or name.endswith("__"):
        return None
    for home in (torch, torch.nn.functional):
        if getattr(home, name, None) is target:
            return getattr(home, name[:-1], None)
    return None


def _flag_lowered(node: fx.Node) -> bool:
    """`inplace=True` made False."""
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
        return True
    if node.op != "call_function" or not any(arg is True for arg in node.args):
        return False
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    if bound.arguments.get("inplace") is not True:
        return False
    bound.arguments["inplace"] = False
    node.args, node.kwargs = bound.args, bound.kwargs
    return True

"""A model's program as scoring runs it: nothing overwrites its input, tensors are the model's own.

Layers of the Graph are nodes of the program under the same name. Between two layers stand nodes
that are none: numbers derived from sizes, and calls with several results, of which each result is a
layer. They are run again from the values of the batch at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn
from torch.func import functional_call

from easearch.errors import ScoringError
from easearch.graph import Layer
from easearch.structures import Structure
from easearch.tracing.program import canonical, layer_names, program


class TracedProgram:
    """The program of a model, its nodes by the names of the layers, and its tensors by path."""

    def __init__(self, model: nn.Module, inputs: Structure | None = None) -> None:
        """`inputs`, of one batch, are what torch.export needs where torch.fx cannot follow."""
        self.model = model
        self.traced = program(model, inputs)
        self.names = layer_names(self.traced)
        self.nodes = {name: node for node, name in self.names.items()}
        self.canonical = canonical(model)
        self._tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}

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

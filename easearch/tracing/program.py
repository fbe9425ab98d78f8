"""A model as a program: the calls that it makes, in order, each with a stable name.

The same names stand in the Graph, so that pure data and running code can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn

from easearch.errors import GraphError


def program(model: nn.Module) -> fx.GraphModule:
    """The model as torch.fx sees it; shares the model's modules and parameters.

    Raises:
        GraphError: the forward pass depends on the data in a way that fx cannot follow.
    """
    try:
        return fx.symbolic_trace(model)
    except Exception as error:
        raise GraphError(
            f"torch.fx cannot trace {type(model).__name__}: {error}. Expected a forward pass "
            "without Python decisions on tensor values; move such code into a module of its own"
        ) from error


def layer_names(traced: fx.GraphModule) -> dict[fx.Node, str]:
    """A name for every call: its module's path (`path@2` for a second call), else the node's own
    name.
    """
    names: dict[fx.Node, str] = {}
    calls: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            path = str(node.target)
            calls[path] = calls.get(path, 0) + 1
            names[node] = path if calls[path] == 1 else f"{path}@{calls[path]}"
        else:
            names[node] = node.name
    return names


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for every module inside; afterwards each has its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class ShapeRecorder(fx.Interpreter):
    """Runs a program and remembers the shape of every value."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced, garbage_collect_values=True)
        self.shapes: dict[fx.Node, tuple[int, ...] | None] = {}

    def run_node(self, n: fx.Node) -> object:
        """Run one node and note the shape of what it gave (None where that is no tensor)."""
        result: object = super().run_node(n)
        self.shapes[n] = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        return result

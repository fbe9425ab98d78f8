"""A model as a program: the calls that it makes, in order, each with a stable name.

The same names stand in the Graph, so that pure data and running code can be laid side by side. A
call is named after the module that makes it: `features.3.conv` for a module of torch's own (or a
function with that module's weight), `features.3.add` for an operation in a module's forward pass.
"""

from __future__ import annotations

import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses import FakeTensorMode

from easearch.errors import GraphError


def program(model: nn.Module, inputs: tuple[Any, ...] | None = None) -> fx.GraphModule:
    """The model as torch.fx sees it, or torch.export where fx cannot follow and inputs are given;
    shares the model's parameters. Traced in evaluation mode.

    Raises:
        GraphError: the forward pass depends on the data in a way that neither can follow.
    """
    with evaluating(model):
        try:
            return fx.symbolic_trace(model)
        except Exception as error:
            if inputs is None:
                raise GraphError(_refused(model, error)) from error
            return _exported(model, inputs, error)


def _exported(model: nn.Module, inputs: tuple[Any, ...], reason: Exception) -> fx.GraphModule:
    batch = {0: torch.export.Dim.AUTO}
    free = tuple(batch if isinstance(x, torch.Tensor) and x.dim() else None for x in inputs)
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            exported = torch.export.export(model, inputs, dynamic_shapes=free, strict=False)
            found = exported.module(check_guards=False)
    except Exception as error:
        raise GraphError(
            f"{_refused(model, reason)}. torch.export cannot either: {_first_line(error)}"
        ) from error
    assert isinstance(found, fx.GraphModule)
    return found


def _refused(model: nn.Module, error: Exception) -> str:
    return (
        f"torch.fx cannot trace {type(model).__name__}: {_first_line(error)}. Expected a forward "
        "pass without Python decisions on tensor values; move such code into a module of its own"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def layer_names(traced: fx.GraphModule) -> dict[fx.Node, str]:
    """A name for every node: the path of torch's own module that makes the call or whose weight it
    takes (`path@2` for a second call), else the calling module's path and the operation
    (`path.add`, `path.add_1`). Of a call with several results, `name[0]` is the first.
    """
    names: dict[fx.Node, str] = {}
    calls: dict[str, int] = {}
    for node in traced.graph.nodes:
        again, sign = 1, "_{}"
        if picked(node):
            base = f"{names[node.args[0]]}[{node.args[1]}]"
        else:
            path, operation = _maker(node)
            base = operation if not path else path if not operation else f"{path}.{operation}"
            if not operation:
                again, sign = 0, "@{}"
        calls[base] = calls.get(base, 0) + 1
        names[node] = base if calls[base] == 1 else base + sign.format(calls[base] - again)
    return names


def picked(node: fx.Node) -> bool:
    """Whether a node takes one of what another gives, by its number."""
    return (
        node.op == "call_function"
        and node.target is operator.getitem
        and isinstance(node.args[0], fx.Node)
        and isinstance(node.args[1], int)
    )


def returning(node: fx.Node) -> str | None:
    """Path of the innermost module whose output the node's value is, if it is one's."""
    stack = node.meta.get("nn_module_stack", {})
    if not stack:
        return None
    inner = list(stack)[-1]
    left = (inner not in user.meta.get("nn_module_stack", {}) for user in node.users)
    return str(stack[inner][0]) or None if any(left) else None


def caller(node: fx.Node) -> str:
    """Path of the innermost module in whose forward pass the node stands."""
    return _innermost(node)[0]


def _innermost(node: fx.Node) -> tuple[str, Any]:
    """Path and type (or the type's name) of the innermost module around a node."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return (str(stack[-1][0]), stack[-1][1]) if stack else ("", "")


def _maker(node: fx.Node) -> tuple[str, str]:
    """Path of the module behind a call, and the operation where it is not the module itself."""
    if node.op == "call_module":
        return str(node.target), ""
    if node.op in ("placeholder", "output", "get_attr"):
        return "", str(node.target)
    path, kind = _innermost(node)
    if path and (_is_torchs(kind) or _has_weight(node, path)):
        return path, ""
    return path, _operation(node)


def _is_torchs(kind: Any) -> bool:
    """Whether a module's type is one of torch's own, which makes a single call; a type made of
    another says that one in brackets.
    """
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    name = name.partition("[")[2].removesuffix("]") or name
    return name.startswith("torch.nn.modules.") and ".container." not in name


def _has_weight(node: fx.Node, path: str) -> bool:
    return any(n.op == "get_attr" and n.target == f"{path}.weight" for n in node.all_input_nodes)


def _operation(node: fx.Node) -> str:
    target: Any = node.target
    if isinstance(target, str):
        return target.rstrip("_")
    name = target._schema.name.split("::")[-1] if hasattr(target, "_schema") else target.__name__
    return str(name).strip("_")


def canonical(model: nn.Module) -> dict[str, str]:
    """Every path of a parameter or buffer -> the first path under which it is found."""
    first: dict[int, str] = {}
    return {
        path: first.setdefault(id(tensor), path)
        for owned in (
            model.named_parameters(remove_duplicate=False),
            model.named_buffers(remove_duplicate=False),
        )
        for path, tensor in owned
    }


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for every module inside; afterwards each has its own mode back."""
    with _mode(model, training=False):
        yield


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Training mode for every module inside; afterwards each has its own mode back."""
    with _mode(model, training=True):
        yield


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def of_two(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs with a batch of two, whatever it was: the same graph for any; one sample would be
    squeezed away by some networks.
    """
    sizes = {x.shape[0] if x.dim() else 0 for x in inputs if isinstance(x, torch.Tensor)}
    if len(sizes) != 1 or 0 in sizes:
        return inputs
    return tuple(
        x[:1].expand(2, *x.shape[1:]).contiguous() if isinstance(x, torch.Tensor) else x
        for x in inputs
    )


def recorded(traced: fx.GraphModule, inputs: tuple[Any, ...]) -> dict[fx.Node, Any]:
    """What every node gives: tensors as meta tensors, numbers and tuples as they are.

    Without computing anything where that is possible.
    """
    try:
        return imagined(traced, inputs)
    except Exception:  # the values decide on something: so they are needed
        recorder = Recorder(traced)
        with torch.no_grad():
            recorder.run(*inputs)
        return recorder.seen


def imagined(traced: fx.GraphModule, inputs: tuple[Any, ...]) -> dict[fx.Node, Any]:
    """The same on tensors that have a form alone: nothing is computed, nothing changed."""
    recorder = Recorder(traced)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as form:
        recorder.run(*(form.from_tensor(x) if isinstance(x, torch.Tensor) else x for x in inputs))
    return recorder.seen


class Recorder(fx.Interpreter):
    """Runs a program and remembers of every value its shape, and whether it is a float tensor;
    of numbers and tuples, themselves.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced, garbage_collect_values=True)
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> object:
        """Run one node and note what it gave."""
        result: object = super().run_node(n)
        self.seen[n] = _remembered(result)
        return result


def _remembered(result: object) -> Any:
    if isinstance(result, torch.Tensor):
        return torch.empty(result.shape, dtype=result.dtype, device="meta")
    if isinstance(result, tuple | list):
        return tuple(_remembered(item) for item in result)
    return result

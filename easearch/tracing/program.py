"""A model as a program: the calls that it makes, in order, each with a stable name.

The same names stand in the Graph, so that pure data and running code can be laid side by side. A
call is named after the module that makes it: `features.3.conv` for a module of torch's own (or a
function with that module's weight), `features.3.add` for an operation in a module's forward pass.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from easearch.errors import GraphError, reason_of
from easearch.structures import Structure
from easearch.tracing.flat import Flat
from easearch.tracing.functional import functional
from easearch.tracing.in_place import Written
from easearch.tracing.recording import of_two, quiet, recorded
from easearch.tracing.unpacking import packs, unpacked
from easearch.tracing.untouched import untouched


def program(model: nn.Module, inputs: Structure | None = None) -> fx.GraphModule:
    """The model as torch.fx sees it, or torch.export where fx cannot follow; shares the model's
    parameters. Traced in evaluation mode.

    With inputs, `fx.Interpreter(program(model, inputs)).run(others)` takes others of the same
    structure and gives what the model gives. Without, only torch.fx is asked, and the program takes
    all arguments of the forward pass.

    Raises:
        GraphError: the model does not take the inputs, or its forward pass depends on the data in a
            way that neither can follow.
    """
    with evaluating(model):
        flat = None if inputs is None else Flat(model, inputs)
        try:
            traced = symbolic(model, flat)
        except Exception as error:
            if flat is None:
                raise GraphError(_refused(model, error)) from error
            traced = functional(_exported(model, flat, inputs, error))
        if inputs is not None and packs(traced):
            unpacked(traced, _recorded(traced, inputs))
        return traced


def _recorded(traced: fx.GraphModule, inputs: Structure) -> dict[fx.Node, Any]:
    try:
        return recorded(traced, of_two(inputs))
    except Exception:  # it may accept its own batch alone
        return recorded(traced, inputs)


class Noting(fx.Tracer):
    """Notes writes in place."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A proxy that notes them."""
        return Written(node, self)


class NotingBuffers(Noting):
    """Arithmetic on buffers is part of the program too."""

    proxy_buffer_attributes = True


def symbolic(model: nn.Module, flat: Flat | None) -> fx.GraphModule:
    """The model as torch.fx sees it in its present mode, without writes in place."""
    try:
        return functional(_symbolic(model, flat, NotingBuffers))
    except Exception:  # Python decides on what a buffer holds
        return functional(_symbolic(model, flat, Noting))


def _symbolic(model: nn.Module, flat: Flat | None, tracer: type[fx.Tracer]) -> fx.GraphModule:
    with untouched(model):
        if flat is not None:
            return flat.symbolic(tracer)
        made = tracer()
        graph = made.trace(model)
        return fx.GraphModule(made.root, graph, type(model).__name__)


def _exported(model: nn.Module, flat: Flat, inputs: Structure, reason: Exception) -> fx.GraphModule:
    two = of_two(inputs)
    try:
        with untouched(model):
            try:
                found = _by_export(flat, two)
            except Exception:  # it may accept its own batch alone
                if two is inputs:
                    raise
                found = _by_export(flat, inputs)
    except Exception as error:
        raise GraphError(_refused(model, reason, error)) from error
    return flat.structured(found)


def _by_export(flat: Flat, inputs: Structure) -> fx.GraphModule:
    values = flat.inputs.of(inputs)
    free = tuple({0: torch.export.Dim.AUTO} if value.dim() else None for value in values)
    with quiet():
        exported = torch.export.export(flat.module, values, dynamic_shapes=free, strict=False)
        found = exported.module(check_guards=False)
    assert isinstance(found, fx.GraphModule)
    return found


def _refused(model: nn.Module, fx_says: Exception, export_says: Exception | None = None) -> str:
    if isinstance(fx_says, GraphError) and export_says is None:
        return str(fx_says)
    also = "" if export_says is None else f"; torch.export: {reason_of(export_says)}"
    return (
        "expected a forward pass without Python decisions on tensor values, got "
        f"{type(model).__name__}, which cannot be traced (torch.fx: {reason_of(fx_says)}{also}); "
        "move such code into a module of its own"
    )


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

"""Calls that write in place: how they are spelled, and what gives the same as a new tensor."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

SHAPE_QUERIES = frozenset(
    ("size", "dim", "numel", "ndimension", "is_floating_point", "get_device", "element_size")
)
"""Methods that read a tensor's form alone."""
FORM = frozenset(("shape", "ndim", "device", "dtype", "is_cuda", "requires_grad"))
"""Attributes that tell a tensor's form alone."""
ASSIGNING: Mapping[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ifloordiv: operator.floordiv,
    operator.ipow: operator.pow,
    operator.imod: operator.mod,
    operator.iand: operator.and_,
    operator.ior: operator.or_,
    operator.ixor: operator.xor,
    operator.imatmul: operator.matmul,
}


class Written(fx.Proxy):
    """A proxy that notes what Python writes in place: `x += y`, `x[index] = y`.

    torch.fx refuses the second, and takes the first for `x = x + y`, which views do not see.
    """

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})


def _noted(assigning: Callable[..., Any]) -> Callable[[Written, Any], fx.Proxy]:
    def called(self: Written, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", assigning, (self, other), {})

    return called


for _assigning in ASSIGNING:
    setattr(Written, f"__{_assigning.__name__}__", _noted(_assigning))


def setitem(input: Tensor, index: Any, value: Any) -> Tensor:
    """`input` with `input[index] = value` done: a new tensor."""
    new = input.clone()
    new[index] = value
    return new


def asks_for_form(node: fx.Node) -> bool:
    """Whether a node asks for a tensor's form alone, which no channel passes."""
    if node.op == "call_method":
        return str(node.target) in SHAPE_QUERIES
    if node.target is getattr:
        return node.args[1] in FORM
    schema = getattr(node.target, "_schema", None)
    return schema is not None and ("sym_" in schema.name or "assert" in schema.name)


def number(node: fx.Node) -> bool:
    """Whether a node's value follows from sizes: counting it up overwrites nothing."""
    if asks_for_form(node):
        return True
    if node.op not in ("call_function", "call_method"):
        return False
    sources = node.all_input_nodes
    return bool(sources) and all(map(number, sources))


def operation(node: fx.Node) -> str:
    """The plain name of a call's function, method or operator; of a module's call, nothing."""
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.split("::")[-1]
    if node.op == "call_module":
        return ""
    return target if isinstance(target, str) else str(getattr(target, "__name__", ""))


def overwrites(node: fx.Node, traced: fx.GraphModule) -> fx.Node | None:
    """The tensor that a call writes to; the call is made one that gives a new tensor."""
    base: Any = node.args[0] if node.args else None
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        base = base if getattr(module, "inplace", False) is True else None
    elif isinstance(node.kwargs.get("out"), fx.Node):
        base = node.kwargs["out"]
        node.kwargs = {name: x for name, x in node.kwargs.items() if name != "out"}
    elif node.target is operator.setitem:
        node.target = setitem
    else:
        found = _method(node) if node.op == "call_method" else _function(node)
        if found is not None:
            node.op = "call_method" if isinstance(found, str) else "call_function"
            node.target = found
        elif not _flag_lowered(node):
            return None
    return base if isinstance(base, fx.Node) else None


def _method(node: fx.Node) -> str | Callable[..., Any] | None:
    name = str(node.target)
    if name == "__setitem__":
        return setitem
    if not name.endswith("_") or name.endswith("__") or name == "requires_grad_":
        return None
    return name[:-1] if callable(getattr(Tensor, name[:-1], None)) else _on_a_copy(name)


def _on_a_copy(name: str) -> Callable[..., Tensor]:
    """A method that has no other form, on a copy."""

    def called(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = getattr(input.clone(), name)(*args, **kwargs)
        return result

    called.__name__ = name[:-1]
    return called


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
        return getattr(other, target._overloadname, None) or _on_a_copy(packet)
    if not name.endswith("_") or name.endswith("__"):
        return None
    for home in (torch, torch.nn.functional):
        if getattr(home, name, None) is target:
            return getattr(home, name[:-1], None)
    return _on_a_copy(name) if callable(getattr(Tensor, name, None)) else None


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

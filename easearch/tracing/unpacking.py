"""Tuples of tensors as what they are: a slice, a sum or a copy of a tuple is read item by item.

`torch.cat(x.chunk(4, 1)[::-1], 1)` becomes a concatenation of four parts, each picked by its
number, so that every part is a layer with a name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, fx, nn

from easearch.tracing.functional import MANY
from easearch.tracing.in_place import operation

Parts = tuple[Any, ...]
"""The items of a tuple: nodes, and tuples of them."""
TUPLES = (operator.getitem, operator.add, operator.mul, operator.concat)
"""What Python does with tuples."""
GIVERS = MANY | {
    *("max", "min", "sort", "topk", "meshgrid", "std_mean", "var_mean", "median", "mode"),
    *("hsplit", "vsplit", "dsplit", "aminmax", "frexp", "broadcast_tensors", "cummax", "cummin"),
}
"""Names of functions that may give several tensors."""


def packs(traced: fx.GraphModule) -> bool:
    """Whether the program may do anything with a tuple of tensors but pick items by number."""
    return any(
        _gives_several(node, traced) and not all(map(_picks, node.users))
        for node in traced.graph.nodes
    )


def unpacked(traced: fx.GraphModule, seen: Mapping[fx.Node, Any]) -> fx.GraphModule:
    """The program with every tuple taken apart; the one given is changed.

    Args:
        traced: the program.
        seen: what its nodes give.
    """
    parts: dict[fx.Node, Parts] = {}
    for node in list(traced.graph.nodes):
        if not _picks(node):
            node.args = _spread(node.args, parts)
            node.kwargs = _spread(node.kwargs, parts)
        if _is_tuple(seen.get(node)) and node.op.startswith("call"):
            found = _computed(node) if node.target in TUPLES else None
            parts[node] = found if found is not None else _picked(traced, node, len(seen[node]))
    for node in reversed(list(traced.graph.nodes)):
        if not node.users and (node in parts or _picks(node)):
            traced.graph.erase_node(node)
    return traced


def _gives_several(node: fx.Node, traced: fx.GraphModule) -> bool:
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        return isinstance(module, nn.RNNBase | nn.MultiheadAttention)
    return node.op.startswith("call") and operation(node) in GIVERS


def _picks(node: fx.Node) -> bool:
    """Whether a node takes one item of a tuple, by number or name, or asks for a form."""
    if node.op == "call_function" and node.target is getattr:
        return True
    return node.target is operator.getitem and isinstance(node.args[1], int)


def _is_tuple(found: Any) -> bool:
    return isinstance(found, tuple | list) and any(isinstance(item, Tensor) for item in found)


def _computed(node: fx.Node) -> Parts | None:
    """What Python makes of tuples that are known by their items."""
    if not isinstance(node.args[0], tuple | list) and not isinstance(node.args[-1], tuple | list):
        return None
    call: Callable[..., Any] = node.target  # type: ignore[assignment]
    return tuple(call(*(tuple(x) if isinstance(x, tuple | list) else x for x in node.args)))


def _picked(traced: fx.GraphModule, node: fx.Node, many: int) -> Parts:
    """A pick of every item, those that the program has already among them."""
    there = {
        user.args[1]: user
        for user in node.users
        if _picks(user) and user.target is operator.getitem
    }
    made = []
    for number in reversed(range(many)):
        if number not in there:
            with traced.graph.inserting_after(node):
                there[number] = traced.graph.call_function(operator.getitem, (node, number))
            there[number].meta = dict(node.meta)
        made.append(there[number])
    return tuple(reversed(made))


def _spread(tree: Any, parts: Mapping[fx.Node, Parts]) -> Any:
    """Arguments with tuples in place of the nodes that give them."""
    if isinstance(tree, fx.Node):
        return parts.get(tree, tree)
    if isinstance(tree, tuple | list):
        return type(tree)([_spread(item, parts) for item in tree])
    if isinstance(tree, dict):
        return {name: _spread(item, parts) for name, item in tree.items()}
    return tree

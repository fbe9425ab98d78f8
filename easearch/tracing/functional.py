"""A program in which nothing is overwritten: every call that writes in place gives a new value.

Whoever takes the overwritten tensor later takes the new one. A write through a view (`x[:, 0] = y`,
`x.view(-1).add_(1)`) gives a new base as well, and views taken before are taken again from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from easearch.tracing.in_place import number, operation, overwrites

VIEWS = frozenset(
    (
        *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "detach"),
        *("transpose", "permute", "narrow", "select", "chunk", "split", "unbind", "t", "movedim"),
        *("getitem", "swapaxes", "swapdims", "expand_as", "view_as", "diagonal", "tensor_split"),
        *(
            "slice",
            "_unsafe_view",
            "split_with_sizes",
            "unfold",
            "alias",
            "real",
            "imag",
            "T",
            "mT",
        ),
    )
)
"""Names of what may give a view of its first argument."""
MANY = frozenset(("chunk", "split", "unbind", "tensor_split", "split_with_sizes"))
"""Names of what gives several views."""


def functional(traced: fx.GraphModule) -> fx.GraphModule:
    """The program without writes in place; the one given is changed."""
    _Functional(traced).run()
    return traced


class _Functional:
    """The state of one pass. A slot is a tensor that may be overwritten: the node that made it."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self._traced = traced
        self._slot: dict[fx.Node, fx.Node] = {}
        """Node -> the slot whose value it is, where that is not itself."""
        self._now: dict[fx.Node, fx.Node] = {}
        """Slot -> the node that has its value now."""
        self._view: dict[fx.Node, fx.Node] = {}
        """Slot that is a view -> the slot of which it is one; in the order of the program."""
        self._made: list[fx.Node] = []
        self._held: dict[str, fx.Node] = {}
        """Path of a tensor of the model -> its slot."""

    def run(self) -> None:
        """Go through the program once."""
        for node in list(self._traced.graph.nodes):
            self._remap(node)
            if node.op == "get_attr":
                self._slot[node] = self._held.setdefault(str(node.target), node)
            if node.op in ("placeholder", "get_attr", "output"):
                continue
            base = overwrites(node, self._traced)
            if base is not None and not number(base):
                self._write(self._slot_of(base), node)
            elif _viewed(node) is not None:
                self._view[node] = self._slot_of(_viewed(node))
        for node in reversed(self._made):
            if not node.users:
                self._traced.graph.erase_node(node)

    def _slot_of(self, node: fx.Node | None) -> fx.Node:
        assert node is not None
        return self._slot.get(node, node)

    def _current(self, node: fx.Node) -> fx.Node:
        slot = self._slot_of(node)
        return self._now.get(slot, slot)

    def _remap(self, node: fx.Node) -> None:
        node.args = fx.node.map_arg(node.args, self._current)
        node.kwargs = fx.node.map_arg(node.kwargs, self._current)

    def _set(self, slot: fx.Node, node: fx.Node) -> None:
        self._slot[node], self._now[slot] = slot, node

    def _write(self, slot: fx.Node, new: fx.Node) -> None:
        """`new` is the slot's value: so is what it is a view of new, and what are views of that."""
        self._set(slot, new)
        place, done = new, {slot}
        while slot in self._view:
            under = self._view[slot]
            with self._traced.graph.inserting_after(place):
                place = self._back(slot, self._current(under), self._current(slot))
            self._set(under, place)
            done.add(under)
            slot = under
        stale = {slot}
        for view, under in self._view.items():
            if under in stale:
                stale.add(view)
                if view not in done:
                    place = self._again(view, place)

    def _back(self, view: fx.Node, base: fx.Node, value: fx.Node) -> fx.Node:
        """The base with the value written to where the view lies."""
        pick, taken = _taken(view)
        made = self._traced.graph.call_function(
            _put_back(taken, pick), (base, value, *taken.args[1:]), dict(taken.kwargs)
        )
        self._remap_but(made, 2)
        made.meta = dict(view.meta)
        self._made.append(made)
        return made

    def _remap_but(self, node: fx.Node, first: int) -> None:
        rest = fx.node.map_arg(node.args[first:], self._current)
        node.args = (*node.args[:first], *rest)
        node.kwargs = fx.node.map_arg(node.kwargs, self._current)

    def _again(self, view: fx.Node, place: fx.Node) -> fx.Node:
        """The view of what its base is now."""
        pick, taken = _taken(view)
        for node in (taken,) if pick is None else (taken, view):
            with self._traced.graph.inserting_after(place):
                place = self._traced.graph.node_copy(node, self._current)
            if node is view and pick is not None:
                place.args = (self._made[-1], *place.args[1:])
            self._made.append(place)
        self._set(view, place)
        return place


def _taken(view: fx.Node) -> tuple[Any, fx.Node]:
    """Of one of several views (`x.chunk(2)[0]`): its number, and the call that gives all."""
    first = view.args[0]
    if operation(view) == "getitem" and isinstance(first, fx.Node) and operation(first) in MANY:
        return view.args[1], first
    return None, view


def _viewed(node: fx.Node) -> fx.Node | None:
    """The tensor of which a node is a view."""
    if operation(node) not in VIEWS:
        return None
    pick, taken = _taken(node)
    base = taken.args[0] if taken.args else None
    if not isinstance(base, fx.Node) or number(base) or (pick is None and operation(node) in MANY):
        return None
    return base


def _put_back(view: fx.Node, pick: Any) -> Callable[..., Tensor]:
    target, method = view.target, view.op == "call_method"

    def written(base: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        new = base.clone(memory_format=torch.contiguous_format)
        call: Any = getattr(new, str(target)) if method else target
        found = call(*args, **kwargs) if method else call(new, *args, **kwargs)
        (found if pick is None else found[pick]).copy_(value)
        return new

    return written

"""Tensors that a model computes from its own parameters and buffers alone: a scale under another
shape, the factors of a frozen norm.

Which axis of which parameter lies along the channels is asked of the computation itself. It is run
on random numbers, and again with some of the channels repeated and in another order: it follows the
channels where the second result is the first one, repeated and ordered likewise.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.tracing.call import Alignment, Computed, Parameter, Value
from easearch.tracing.in_place import asks_for_form
from easearch.tracing.nodes import Calls

FORM_TAKEN = frozenset(("expand_as", "view_as", "reshape_as", "type_as", "to"))
"""Methods that take of their second argument the form alone."""
TRIES = 64
"""Choices of axes that are tried at most."""
MORE = 2
"""Channels by which a computation is widened to see what it does."""
PLACES = frozenset(("device", "dtype", "is_cuda"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """A node of a program that depends on parameters and on the forms of other values alone."""

    node: fx.Node
    model: nn.Module
    seen: Mapping[fx.Node, Any]
    parameters: Mapping[fx.Node, Parameter]
    """By the nodes that stand for them."""
    forms: Mapping[fx.Node, Value]

    def computed(self) -> Computed:
        """The chain's result as an argument."""
        unique = {one.path: one for one in self.parameters.values()}
        return Computed(
            shape=tuple(self.seen[self.node].shape),
            parameters=tuple(unique.values()),
            along=functools.cache(self.along),
        )

    def along(self, axis: int | None) -> Alignment | None:
        """How parameters lie along an axis of the result, or that none does; None where it cannot
        be told.
        """
        shape = tuple(self.seen[self.node].shape)
        width = 1 if axis is None else shape[axis]
        generator = torch.Generator().manual_seed(0)
        given = {one.path: self._drawn(one, generator) for one in self._unique()}
        orders = _orders(width, generator)
        ways = [({n: _grown(v, None, width) for n, v in self.forms.items()}, False)]
        if axis is not None and any(_wide(value, width) for value in self.forms.values()):
            ways.append(({n: _grown(v, width, width) for n, v in self.forms.items()}, True))
        for axes in itertools.islice(self._choices(width, axis), TRIES):
            for sizes, ties in ways:
                if all(self._follows(given, axes, axis, order, sizes) for order in orders):
                    values = tuple(v for v in self.forms.values() if _wide(v, width))
                    return Alignment(axes=axes, forms=values if ties else ())
        return None

    def _follows(
        self,
        given: Mapping[str, Tensor],
        axes: Mapping[str, int | None],
        axis: int | None,
        order: Tensor,
        sizes: Mapping[fx.Node, tuple[int, ...]],
    ) -> bool:
        """Whether the result of gathered parameters is the result, gathered."""
        try:
            expected = _gathered(self._run(given, {}), axis, order)
            moved = {path: _gathered(one, axes[path], order) for path, one in given.items()}
            found = self._run(moved, sizes)
        except Exception:  # a size that the code names, or what only a device can do
            return False
        return found.shape == expected.shape and torch.allclose(found, expected, 1e-4, 1e-5, True)

    def _choices(self, width: int, axis: int | None) -> Iterator[dict[str, int | None]]:
        """For every parameter the axes that may lie along the channels."""
        places: list[list[int | None]] = []
        for parameter in self._unique():
            fitting = [at for at, size in enumerate(parameter.shape) if size == width]
            places.append([None] if axis is None else [*fitting, None])
        paths = [parameter.path for parameter in self._unique()]
        for choice in itertools.product(*places):
            if axis is None or any(place is not None for place in choice):
                yield dict(zip(paths, choice, strict=True))

    def _unique(self) -> tuple[Parameter, ...]:
        return tuple({one.path: one for one in self.parameters.values()}.values())

    def _drawn(self, parameter: Parameter, generator: torch.Generator) -> Tensor:
        """Positive numbers in place of a parameter's; whole numbers stay as they are."""
        held = self._tensor(parameter.path)
        if not held.is_floating_point():
            return held
        like = torch.rand(held.shape, generator=generator, dtype=torch.float64) + 0.5
        return like.to(device="cpu" if held.is_meta else held.device, dtype=held.dtype)

    def _tensor(self, path: str) -> Tensor:
        owner, _, name = path.rpartition(".")
        found: Tensor = getattr(self.model.get_submodule(owner), name)
        return found

    def _run(self, given: Mapping[str, Tensor], sizes: Mapping[fx.Node, tuple[int, ...]]) -> Tensor:
        with torch.no_grad():
            found: Tensor = _Running(self, given, sizes).value(self.node)
        return found


class _Running:
    """One run of a chain, with other numbers and sizes."""

    def __init__(
        self,
        chain: Chain,
        given: Mapping[str, Tensor],
        sizes: Mapping[fx.Node, tuple[int, ...]],
    ) -> None:
        self._chain, self._given, self._sizes = chain, given, sizes
        self._done: dict[fx.Node, Any] = {}

    def value(self, node: fx.Node) -> Any:
        """What a node gives."""
        if node not in self._done:
            self._done[node] = self._worked_out(node)
        return self._done[node]

    def _worked_out(self, node: fx.Node) -> Any:
        chain = self._chain
        if node in chain.forms:
            like = chain.seen[node]
            return torch.zeros(self._sizes.get(node, tuple(like.shape)), dtype=like.dtype)
        if node.op == "get_attr":
            held = chain.parameters.get(node)
            return _attribute(node) if held is None else self._given[held.path]
        if node.op == "placeholder" or (node.target is getattr and node.args[1] in PLACES):
            return chain.seen[node]
        args = fx.node.map_arg(node.args, self.value)
        kwargs = fx.node.map_arg(node.kwargs, self.value)
        if node.op == "call_module":
            return chain.model.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _attribute(node: fx.Node) -> Any:
    """What a node of the program's own module stands for."""
    found: Any = node.graph.owning_module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found


def _gathered(tensor: Tensor, axis: int | None, order: Tensor) -> Tensor:
    return tensor if axis is None else tensor.index_select(axis, order.to(tensor.device))


def _orders(width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Channels in another order, some of them repeated and others left out: of each half of them,
    so that no extreme and no mean is the same.
    """
    half, many = (width + 1) // 2, (width + MORE,)
    return (
        torch.randint(0, half, many, generator=generator),
        torch.randint(width - half, width, many, generator=generator),
    )


def _wide(value: Value, width: int) -> bool:
    return value.axis is not None and value.shape[value.axis] == width


def _grown(value: Value, width: int | None, was: int) -> tuple[int, ...]:
    """The value's sizes after growth: by one channel that is no other's, or with those of `was`."""
    if value.axis is None:
        return value.shape
    size = value.shape[value.axis]
    new = size + 1 if width is None else size + MORE if size == was else size
    return (*value.shape[: value.axis], new, *value.shape[value.axis + 1 :])


def chain_of(
    node: fx.Node, model: nn.Module, calls: Calls, depending: Callable[[fx.Node], Value | None]
) -> Chain | None:
    """The chain that ends in a node; None where it takes a value's numbers, or no parameter.

    Args:
        node: the node.
        model: whose program it is in.
        calls: the program's calls.
        depending: of a node that depends on the network's inputs, its value; else None.
    """
    parameters: dict[fx.Node, Parameter] = {}
    forms: dict[fx.Node, Value] = {}
    todo, met = [node], {node}
    while todo:
        one = todo.pop()
        if one.op == "get_attr":
            held = calls.parameter(one)
            if held is not None:
                parameters[one] = held
            continue
        if not _repeatable(one, model):
            return None
        for source in one.all_input_nodes:
            value = depending(source)
            if value is not None:
                if not _takes_form(one, source):
                    return None
                forms[source] = value
            elif source not in met:
                met.add(source)
                todo.append(source)
    if not parameters:
        return None
    return Chain(node=node, model=model, seen=calls.seen, parameters=parameters, forms=forms)


def _repeatable(node: fx.Node, model: nn.Module) -> bool:
    """Whether a call can be made again with other numbers."""
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        hooks = module._forward_hooks or module._forward_pre_hooks
        return not hooks and next(module.parameters(), None) is None
    return node.op in ("call_function", "call_method")


def _takes_form(node: fx.Node, source: fx.Node) -> bool:
    """Whether a call takes of a tensor its form alone."""
    if asks_for_form(node):
        return True
    others = [arg for arg in (*node.args[1:], *node.kwargs.values()) if arg is source]
    return (
        node.op == "call_method"
        and node.target in FORM_TAKEN
        and (bool(others) and node.args[0] is not source)
    )

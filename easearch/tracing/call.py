"""A call as a kind sees it: tensors with their channels, parameters and numbers in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from easearch.graph import Layout


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor between two layers: its whole shape, batch first, and its channels.

    Where `axis` is None nothing is known of channels; `unknown` says why none of them may change.
    """

    source: str
    """The layer that made it."""
    shape: tuple[int, ...]
    axis: int | None = None
    layout: Layout = ()
    unknown: str = ""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter or buffer that is an argument of a call."""

    path: str
    shape: tuple[int, ...]
    trained: bool = True
    """Whether it is a parameter."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How the parameters of a computed tensor lie along one of its axes."""

    axes: Mapping[str, int | None]
    """Path -> the parameter's axis; None where it has the same numbers for all channels."""
    forms: tuple[Value, ...] = ()
    """Values that must keep as many channels as the axis has, since their sizes are taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Computed:
    """A tensor that is computed from parameters and buffers alone, as an argument of a call."""

    shape: tuple[int, ...]
    parameters: tuple[Parameter, ...]
    along: Callable[[int | None], Alignment | None]
    """Of an axis (None: of none) how the parameters lie along it; None where nobody can tell."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A number that the program works out from the sizes of its values."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call in the traced program, as a kind sees it.

    Among `args` and `kwargs` stand, at any depth, a `Value` for a tensor, a `Parameter`, a
    `Computed` for what is made of parameters alone (for kinds that take it), a `Derived` for a
    computed number, and constants as they are. Of a call that gives several
    tensors, each is a call by itself: `piece` is its number, nested ones counted through, and
    `first` says whether it is the first that is used.
    """

    module: nn.Module | None
    path: str = ""
    """Where the module stands in the model."""
    owner: nn.Module | None = None
    """The innermost module in whose forward pass the call is made."""
    target: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    out_shape: tuple[int, ...]
    piece: int | None = None
    first: bool = True
    batch: int = 2
    """How many samples the network was traced with."""

    @property
    def values(self) -> tuple[Value, ...]:
        """The tensors that go in, in the order of the arguments."""
        return tuple(found(Value, (self.args, dict(self.kwargs))))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters and buffers that go in as arguments."""
        return tuple(found(Parameter, (self.args, dict(self.kwargs))))

    @property
    def holds(self) -> bool:
        """Whether the model's own parameters go in."""
        own = self.module is not None and any(True for _ in self.module.parameters())
        return own or any(parameter.trained for parameter in self.parameters)

    @property
    def computed(self) -> tuple[Computed, ...]:
        """What goes in that is computed from parameters and buffers alone."""
        return tuple(found(Computed, (self.args, dict(self.kwargs))))

    @property
    def behind(self) -> tuple[Parameter, ...]:
        """The parameters and buffers that go in, as they are or in what is computed from them."""
        return (*self.parameters, *(one for made in self.computed for one in made.parameters))

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, or by its place (that of a function or method on a tensor: 0)."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position < len(self.args) else default

    def bound(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The arguments that were given, by the names that the places have."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}


def found(kind: type[Any], tree: Any) -> Iterator[Any]:
    """All objects of a type in nested tuples, lists, dictionaries and slices."""
    if isinstance(tree, kind):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from found(kind, item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from found(kind, item)
    elif isinstance(tree, slice):
        yield from found(kind, (tree.start, tree.stop, tree.step))

"""What a kind of layer must say of itself: how channels pass it, how it widens, what it works, how
a runtime spells it.

A new kind is one file in `easearch/tracing/kinds/` with a subclass of `Kind`, and one line in its
`__init__.py`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call, Parameter
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, axis_of, read, tied


class Role(Enum):
    """How channels pass a layer."""

    MIXES = "mixes"
    """Every output channel reads every input channel: the layer reads one group and writes another.
    """
    FOLLOWS = "follows"
    """One channel in, the same channel out."""
    TIES = "ties"
    """Its inputs are combined channel by channel and so must be one group."""


@dataclass(frozen=True, kw_only=True)
class Op:
    """One ONNX operator of a layer. Inputs are `x` (`x1`: the second input) or an earlier
    operator's number.
    """

    type: str
    inputs: tuple[str, ...] = ("x",)
    weights: tuple[tuple[int, ...], ...] = ()
    scalars: tuple[float, ...] = ()
    integers: tuple[tuple[int, ...], ...] = ()
    """Lists of whole numbers that are inputs: the shape of a Reshape."""
    attributes: tuple[tuple[str, Any], ...] = ()
    outputs: int = 1
    """How many it gives; whoever comes later takes the first."""


class Kind(ABC):
    """One kind of layer. Stateless: everything is read off the call, the module or the shape that
    is given.
    """

    name: ClassVar[str]
    role: ClassVar[Role]
    modules: ClassVar[tuple[type[nn.Module], ...]] = ()
    functions: ClassVar[Mapping[Any, tuple[str, ...]]] = {}
    """Function, or ATen operator -> the names of its arguments in their order."""
    methods: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The same for methods of tensors; the first argument is the tensor."""
    out_axes: ClassVar[Mapping[str, int]] = {}
    """Tensors with an axis over the columns that the layer writes: name -> axis. A module has them
    as attributes, a function takes them as arguments of that name.
    """
    in_axes: ClassVar[Mapping[str, int]] = {}
    """Tensors with an axis over the columns that it reads: name -> axis."""
    newborn: ClassVar[Mapping[str, float]] = {}
    """Value with which a new channel of a tensor is born, where that is not 0."""
    takes_sizes: ClassVar[bool] = False
    """Whether numbers derived from sizes may be arguments: elsewhere they would change the function
    as widths change.
    """
    takes_computed: ClassVar[bool] = False
    """Whether tensors computed from parameters may be arguments: elsewhere they are constants."""

    def accepts(self, call: Call) -> bool:
        """Whether this very call is of the kind (its module's type, function or method already
        fits).
        """
        return True

    def through(self, call: Call, layouts: Layouts) -> Through:
        """How channels pass the call.

        Raises:
            Apart: they cannot be followed; the groups that come in then cannot change.
        """
        if self.role is Role.MIXES:
            return self.mixed(call, layouts)
        value = call.values[0]
        if self.role is Role.TIES:
            return tied(call, layouts)
        return Through(
            reads=value.layout, in_axis=axis_of(value), axis=value.axis, writes=value.layout
        )

    def mixed(self, call: Call, layouts: Layouts, axis: int = 1) -> Through:
        """A layer that reads the channels at `axis` and writes a group of its own there."""
        reads = read(call.values[0], axis, layouts, f"mixes along another axis by a {self.name}")
        return Through(
            reads=reads, in_axis=axis, axis=axis, writes=layouts.begin(call.out_shape[axis])
        )

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The parameters and buffers that the layer computes with."""
        return tuple(self._held(call))

    def _held(self, call: Call) -> Iterator[Held]:
        given = self.arguments(call)
        for role in dict.fromkeys((*self.out_axes, *self.in_axes)):
            if call.module is not None:
                held = getattr(call.module, role, None)
                path = f"{call.path}.{role}" if held is not None else None
            else:
                path = given[role].path if isinstance(given.get(role), Parameter) else None
            if path is not None:
                yield Held(
                    role=role,
                    path=path,
                    rows=self.out_axes.get(role),
                    columns=self.in_axes.get(role),
                )

    def arguments(self, call: Call) -> dict[str, Any]:
        """The arguments of a function or method by name; of a module's call, its keywords."""
        if call.module is not None:
            return dict(call.kwargs)
        table: Mapping[Any, tuple[str, ...]] = (
            self.methods if isinstance(call.target, str) else self.functions
        )
        return call.bound(table.get(call.target, ()))

    def options(self, call: Call) -> dict[str, Any]:
        """What besides widths and sizes the work depends on: hashable values by name."""
        return {}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Set the module's own record of its widths, after its tensors were replaced."""
        return None

    def macs(self, shape: Shape) -> int:
        """Multiply-adds of one sample."""
        return 0

    def params(self, shape: Shape) -> int:
        """Trainable numbers."""
        return 0

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """The layer as a runtime sees it (a norm behind a convolution is folded away by the
        caller).
        """
        return ()

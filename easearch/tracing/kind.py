"""What a kind of layer must say of itself: how channels pass it, how it widens, what it works, how
a runtime spells it.

A new kind is one file with a subclass of `Kind` and one line in `easearch/tracing/__init__.py`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from torch import nn

from easearch.graph import Shape


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
class Call:
    """One call in the traced program, as a kind sees it. Shapes are whole tensor shapes, batch
    first.
    """

    module: nn.Module | None
    target: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    in_shapes: tuple[tuple[int, ...], ...]
    out_shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Op:
    """One ONNX operator of a layer. Inputs are `x` (`x1`: the second input) or an earlier
    operator's number.
    """

    type: str
    inputs: tuple[str, ...] = ("x",)
    weights: tuple[tuple[int, ...], ...] = ()
    scalars: tuple[float, ...] = ()
    attributes: tuple[tuple[str, Any], ...] = ()


class Kind(ABC):
    """One kind of layer. Stateless: everything is read off the call, the module or the shape that
    is given.
    """

    name: ClassVar[str]
    role: ClassVar[Role]
    modules: ClassVar[tuple[type[nn.Module], ...]] = ()
    functions: ClassVar[tuple[Callable[..., Any], ...]] = ()
    methods: ClassVar[tuple[str, ...]] = ()
    out_axes: ClassVar[Mapping[str, int]] = {}
    """Tensors of the module with a channel axis of the group that it writes (or follows): name ->
    axis.
    """
    in_axes: ClassVar[Mapping[str, int]] = {}
    """Tensors with an axis over the columns that it reads: name -> axis."""
    newborn: ClassVar[Mapping[str, float]] = {}
    """Value with which a new channel of a tensor is born, where that is not 0."""

    def accepts(self, call: Call) -> bool:
        """Whether this very call is of the kind (its module's type, function or method already
        fits).
        """
        return True

    def options(self, call: Call) -> dict[str, Any]:
        """What besides widths and sizes the work depends on: hashable values by name."""
        return {}

    def taps(self, call: Call) -> int:
        """Columns into which the layer lays one column of its input (more than 1: a flatten)."""
        return 1

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

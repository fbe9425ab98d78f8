"""What a product with the splitting matrix asks of every layer, a class a form.

Four passes. `run` (forward: values) and `back` (backward: first-order adjoints `b`) are done once a
batch and leave behind what the other two need; `push` (forward: tangents) and `pull` (backward:
second-order adjoints `c`) are done for every vector. None stands for zero throughout.

    bilinear y = B(x, W):  push B(x', W) + B(x, W')   pull to x: B_x'(c, W) + B_x'(b, W')
                                                      pull to W: B_W'(x, c) + B_W'(x', b)
    bent     y = s(x):     push s'(x) x'              pull s'(x) c + s''(x) b x'
    linear   y = L x:      push L x'                  pull L' c
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from easearch.scoring.linearised.maps import Pair, formed
from easearch.scoring.samples.capture import Edge
from easearch.scoring.units.curvature import Options, slopes
from easearch.tracing.kinds.activation import evaluate

Kept = tuple[Tensor | None, ...]
"""What a step keeps of a batch; its meaning is the step's own."""
Take = Callable[[Tensor], Tensor]
"""A tensor -> its part for some of the channels."""
Some = Sequence[Tensor | None]
"""A tensor a source, None where it is zero."""


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """One layer (or two, folded) of a unit.

    Attributes:
        name: of the layer whose output this is.
        sources: edges into it.
        inner: for every source, whether it lies inside of the unit; outside nothing moves.
        bends: whether the tangent of its input is needed to pull back.
    """

    name: str
    sources: tuple[Edge, ...]
    inner: tuple[bool, ...]
    bends: bool = False

    @abstractmethod
    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """The output; of a layer with parameters also with others than its own."""

    @abstractmethod
    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """The output, and what `back` needs."""

    @abstractmethod
    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """What `push` and `pull` need, and `b` at the inputs."""

    def gradient(self, kept: Kept, b: Tensor) -> Pair | None:
        """What `run` kept and the adjoint -> the gradient at the weights, where it is wanted."""
        return None

    def few(self, channels: Tensor) -> Step | None:
        """The step of some of the channels, as if there were no others; None where they cannot be
        told apart.
        """
        return None

    def kept_of(self, kept: Kept, take: Take) -> Kept:
        """Of what `back` keeps, these channels' part."""
        return tuple(None if tensor is None else take(tensor) for tensor in kept)

    @abstractmethod
    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """The output's tangent."""

    @abstractmethod
    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`c` at the inputs, and at the weights."""


@dataclass(frozen=True, kw_only=True)
class ElementwiseNonlinearity(Step):
    """An activation."""

    options: Options
    last: bool
    """Whether nothing inside of the unit reads it: then its slope is not needed again."""
    bends: bool = True

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """`s(x)`."""
        return evaluate(self.options, xs[0])

    def few(self, channels: Tensor) -> Step | None:
        """A function of every number by itself."""
        return self

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps `s'` and `s''`."""
        value, first, second = slopes(self.options, xs[0])
        return value, (first, second)

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """Keeps `s'` and `s'' b`."""
        first, second = kept
        assert first is not None and second is not None
        b_in = b * first if self.inner[0] else None
        return (None if self.last else first, second.mul_(b)), (b_in,)

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """`s' x'`."""
        first, x_ = kept[0], moved[0]
        assert first is not None
        return None if x_ is None else first * x_

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`s' c + s'' b x'`."""
        first, curved = kept
        x_ = moved[0]
        assert curved is not None
        c_in = None if x_ is None else curved * x_
        if c is not None:
            assert first is not None
            c_in = first * c if c_in is None else c_in.addcmul_(first, c)
        return (c_in,), None


@dataclass(frozen=True, kw_only=True)
class Plain(Step):
    """A layer without parameters that is linear, where a batch's maxima have been chosen."""

    call: Callable[[Tensor], tuple[Tensor, Tensor | None]] = field(compare=False)
    """x -> output, and the maxima's places."""
    forward: Callable[[Tensor, Tensor | None], Tensor] = field(compare=False)
    """x', places -> y'."""
    transpose: Callable[[Tensor, Tensor, Tensor | None], Tensor] = field(compare=False)
    """y's adjoint, an x for its shape, places -> x's adjoint."""

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """`L x`."""
        return self.call(xs[0])[0]

    def few(self, channels: Tensor) -> Step | None:
        """A window slides over every channel by itself."""
        return self

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps the places, and the shape of the input without its memory."""
        value, places = self.call(xs[0])
        return value, (formed(xs[0]), places)

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """`L' b`."""
        return kept, self._back(kept, b)

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """`L x'`."""
        x_ = moved[0]
        return None if x_ is None else self.forward(x_, kept[1])

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`L' c`."""
        return ((None,) if c is None else self._back(kept, c)), None

    def _back(self, kept: Kept, g: Tensor) -> Some:
        shape, places = kept
        assert shape is not None
        return (self.transpose(g, shape, places) if self.inner[0] else None,)


@dataclass(frozen=True, kw_only=True)
class Sum(Step):
    """A residual addition."""

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """The sum."""
        return torch.add(*xs)

    def few(self, channels: Tensor) -> Step | None:
        """Number by number."""
        return self

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps nothing."""
        return self.value(xs), ()

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """`b` to each."""
        return (), [b if inner else None for inner in self.inner]

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """The sum of what moves."""
        return added([x_ for x_ in moved if x_ is not None])

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`c` to each."""
        return [c if inner else None for inner in self.inner], None


def added(parts: Sequence[Tensor]) -> Tensor | None:
    """Their sum, in a tensor of its own where there are two."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return torch.add(parts[0], parts[1])

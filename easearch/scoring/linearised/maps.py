"""Bilinear maps `y = B(x, W) + b`, each with its two transposes.

Everything that a channel owns acts through one of these: a convolution, a matrix, a scale.

Legend: N samples, C channels, F inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor | None]
"""Weight and bias, or whatever lives where they live: their tangents, their adjoints."""


class Map(ABC):
    """`B`, linear in its input and in its weight."""

    @abstractmethod
    def apply(self, x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        """`B(x, W) + b`."""

    @abstractmethod
    def to_input(self, g: Tensor, x: Tensor, W: Tensor) -> Tensor:
        """The transpose in x; of `x` itself only the shape is used."""

    @abstractmethod
    def to_weight(self, g: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """The transposes in W and b; of `W` itself only the shape is used."""

    def few(self, channels: int, inner: bool) -> Map | None:
        """The map of some of the outputs, and where the input is `inner` of the same inputs; None
        where those do not go together one by one.
        """
        return None if inner else self


@dataclass(frozen=True)
class Convolution(Map):
    """Spatial axes as many as there are strides; `groups` of channels apart from each other."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def apply(self, x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        """The convolution."""
        none = [0] * len(self.stride)
        result: Tensor = torch.ops.aten.convolution(
            x, W, b, self.stride, self.padding, self.dilation, False, none, self.groups
        )
        return result

    def to_input(self, g: Tensor, x: Tensor, W: Tensor) -> Tensor:
        """The transposed convolution."""
        if len(W) == self.groups == x.shape[1] and set(self.stride) == {1}:
            # As a convolution with the kernel turned round: half the time of torch's backward.
            size = W.shape[2:]
            padding = [
                d * (k - 1) - p for d, k, p in zip(self.dilation, size, self.padding, strict=True)
            ]
            if min(padding) >= 0:
                turned = W.flip(tuple(range(2, W.dim())))
                ones = [1] * len(size)
                result: Tensor = torch.ops.aten.convolution(
                    g, turned, None, ones, padding, self.dilation, False, [0] * len(size), len(W)
                )
                return result
        if bare(x):  # laid out as its output is
            x = torch.empty_like(x, memory_format=_format(g))
        found: Tensor = self._backward(g, x, W, [True, False, False])[0]
        return found

    def to_weight(self, g: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """The correlation of input and output."""
        _, weight, bias = self._backward(g, x, W, [False, True, True])
        return weight, bias

    def few(self, channels: int, inner: bool) -> Map | None:
        """Depthwise from within, dense from outside."""
        if inner:
            return replace(self, groups=channels) if self.groups > 1 else None
        return self if self.groups == 1 else None

    def _backward(self, g: Tensor, x: Tensor, W: Tensor, mask: list[bool]) -> Any:
        none = [0] * len(self.stride)
        geometry = (self.stride, self.padding, self.dilation, False, none, self.groups)
        return torch.ops.aten.convolution_backward(g, x, W, [len(W)], *geometry, mask)


class Matrix(Map):
    """`x W' + b` on the last axis, (N, ..., F)."""

    def apply(self, x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        """The product."""
        return F.linear(x, W, b)

    def to_input(self, g: Tensor, x: Tensor, W: Tensor) -> Tensor:
        """(N, ..., C) -> (N, ..., F)."""
        return g @ W

    def to_weight(self, g: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """(C, F) and (C,)."""
        flat = g.flatten(0, -2)
        return flat.t() @ x.flatten(0, -2), flat.sum(0)


@dataclass(frozen=True)
class Scale(Map):
    """`x W + b`, a number a channel: a norm in evaluation mode with no convolution before it."""

    axis: int = 1

    def apply(self, x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        """The scaled channels."""
        y = x * self._along(W, x)
        return y if b is None else y.add_(self._along(b, x))

    def to_input(self, g: Tensor, x: Tensor, W: Tensor) -> Tensor:
        """The same scale."""
        return g * self._along(W, g)

    def to_weight(self, g: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """A number a channel each, the first in the shape of W."""
        others = [axis for axis in range(g.dim()) if axis != self.axis]
        return (g * x).sum(others).reshape(W.shape), g.sum(others)

    def few(self, channels: int, inner: bool) -> Map | None:
        """Each channel by itself, from within."""
        return self if inner else None

    def _along(self, values: Tensor, x: Tensor) -> Tensor:
        sizes = [1] * x.dim()
        sizes[self.axis] = -1
        return values.view(sizes)


def _format(g: Tensor) -> torch.memory_format:
    last = g.dim() == 4 and g.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def formed(x: Tensor) -> Tensor:
    """A shape without its memory."""
    return x.new_zeros(1).expand(x.shape)


def bare(x: Tensor) -> bool:
    """Whether a tensor is a mere shape (`formed`), or looks like one."""
    return x.untyped_storage().nbytes() < x.numel() * x.element_size()


def convolution(options: Mapping[str, Any], groups: int) -> Map | None:
    """A traced convolution as a map; None where its padding is not the same at both ends."""
    pads, axes = tuple(options["pads"]), len(options["stride"])
    if pads[:axes] != pads[axes:]:
        return None
    return Convolution(options["stride"], pads[:axes], options["dilation"], groups)

"""Flattening maps to vectors: each channel becomes a block of neighbouring columns."""

from __future__ import annotations

import math

import torch
from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


class Flatten(Kind):
    """(N, C, ...) -> (N, C * positions), channel by channel."""

    name = "flatten"
    role = Role.FOLLOWS
    modules = (nn.Flatten,)
    functions = (torch.flatten,)
    methods = ("flatten",)

    def accepts(self, call: Call) -> bool:
        """Everything but the batch, in the usual order."""
        batch = call.in_shapes[0][0]
        return call.out_shape == (batch, math.prod(call.in_shapes[0][1:]))

    def taps(self, call: Call) -> int:
        """The positions of a channel."""
        return math.prod(call.in_shapes[0][2:])

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Flatten."""
        return (Op(type="Flatten"),)

"""Layers that do nothing when a network is used: dropout and identity."""

from __future__ import annotations

from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Kind, Op, Role


class Identity(Kind):
    """Passes every number on; in training dropout silences some at random."""

    name = "identity"
    role = Role.FOLLOWS
    modules = (nn.Identity, nn.Dropout, nn.Dropout2d)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Identity; runtimes remove it."""
        return (Op(type="Identity"),)

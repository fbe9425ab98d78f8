"""What runs, but evaluation does not use: heads that help to train.

It costs nothing where the network is used, and grows with the channels that it reads, so that
training goes on.
"""

from __future__ import annotations

from torch import nn

from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Role
from easearch.tracing.registry import KINDS


class Unused(Kind):
    """A call of another kind, known to the walk by where its result goes."""

    name = "unused"
    role = Role.FOLLOWS
    modules = (nn.Module,)

    def accepts(self, call: Call) -> bool:
        """No call by itself."""
        return False

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """As the kind does whose module it is."""
        for kind in KINDS.values():
            if type(module) in kind.modules:
                kind.resize(module, in_channels, out_channels)
                return

"""Depthwise convolutions: every channel has kernels of its own, one of them or several."""

from __future__ import annotations

from easearch.tracing.call import Call
from easearch.tracing.kinds.conv import settings
from easearch.tracing.kinds.grouped import Grouped


class Depthwise(Grouped):
    """A grouped convolution with one input channel a group."""

    name = "depthwise"

    def accepts(self, call: Call) -> bool:
        """More than one channel: a one-channel dense convolution is not depthwise."""
        found = settings(call, self.arguments(call))
        return found is not None and found["groups"] > 1 and found["shape"][1] == 1

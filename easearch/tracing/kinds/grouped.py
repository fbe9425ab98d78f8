"""Grouped convolutions: every group of channels has kernels of its own, and grows as a whole."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import nn

from easearch.graph import Layout, Segment, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Op, Role
from easearch.tracing.kinds.conv import Conv, conv_ops, settings
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through


class Grouped(Conv):
    """Convolution with several groups: a group of input columns gives a group of output columns."""

    name = "grouped"
    role = Role.FOLLOWS
    in_axes: ClassVar = {}

    def accepts(self, call: Call) -> bool:
        """Several groups of several channels."""
        found = settings(call, self.arguments(call))
        return found is not None and found["groups"] > 1 and found["shape"][1] > 1

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Units hold whole groups of the convolution; those of the output are as many."""
        found = settings(call, self.arguments(call))
        assert found is not None
        value = call.values[0]
        reads = value.layout if value.axis == 1 else layouts.begin(value.shape[1], value.unknown)
        ins, outs = found["shape"][1], found["shape"][0] // found["groups"]
        self.hold_named(call, found["groups"], reads, layouts)
        try:
            reads = layouts.blocks(reads, ins)
            writes = tuple(Segment(s.group, s.taps // ins * outs) for s in reads)
        except Apart as apart:
            layouts.freeze(reads, f"a grouped convolution reads it: {apart}")
            writes = layouts.begin(call.out_shape[1], f"a grouped convolution writes it: {apart}")
        return Through(reads=reads, in_axis=1, axis=1, writes=writes)

    def hold_named(self, call: Call, groups: int, layout: Layout, layouts: Layouts) -> None:
        """Freeze what is convolved where no module of the kind owns the number of groups."""
        conv = call.module or call.owner
        if not isinstance(conv, self.modules) or conv.groups != groups:
            layouts.freeze(layout, f"the code names the number of groups, {groups}")

    def options(self, call: Call) -> dict[str, Any]:
        """Those of a dense one, and input columns a group."""
        found = settings(call, self.arguments(call))
        assert found is not None
        return {**super().options(call), "each": found["shape"][1]}

    def resize(self, module: nn.Module, in_channels: int, out_channels: int) -> None:
        """Record the new widths and number of groups."""
        if isinstance(module, self.modules):
            each = module.in_channels // module.groups  # type: ignore[operator]
            super().resize(module, in_channels, out_channels)
            module.groups = in_channels // each

    def macs(self, shape: Shape) -> int:
        """Positions x output channels x input channels a group x kernel."""
        weights = shape.out_channels * shape["each"] * math.prod(shape["kernel"])
        return int(shape.positions * weights)

    def params(self, shape: Shape) -> int:
        """Weight and bias."""
        each = shape["each"] * math.prod(shape["kernel"]) + int(shape["bias"])
        return int(shape.out_channels * each)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One grouped Conv."""
        return conv_ops(shape, groups=shape.in_channels // shape["each"])

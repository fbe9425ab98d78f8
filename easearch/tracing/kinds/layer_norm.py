"""Layer norm and RMS norm: every sample by the statistics of its last axes.

Over the channels, a copy of one would change the mean and variance of all: no width may change.
Over positions alone, every channel is normalised by itself.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.norm import parameters_only
from easearch.tracing.kinds.numbers import plain
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through

LAYER = ("input", "normalized_shape", "weight", "bias")
RMS = ("input", "normalized_shape", "weight")


class LayerNorm(Kind):
    """Layer norm over the last axes."""

    name = "layer_norm"
    role = Role.FOLLOWS
    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.LayerNorm,)
    functions: ClassVar = dict.fromkeys(
        (F.layer_norm, torch.layer_norm, torch.ops.aten.layer_norm.default), LAYER
    )
    out_axes: ClassVar = {"weight": 0, "bias": 0}
    takes_sizes = True  # of positions; over channels the widths cannot change

    def accepts(self, call: Call) -> bool:
        """Scale and shift are parameters."""
        return parameters_only(call, self.arguments(call), LAYER[2:])

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on; over the channels, none of them may change."""
        value = call.values[0]
        if self._place(call) is not None:
            layouts.freeze(
                value.layout,
                f"a {self.name.replace('_', ' ')} normalises over the channels of "
                f"'{value.source}': a copy would change the mean and variance of all",
            )
        return super().through(call, layouts)

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """Scale and shift, along the channels where they are normalised."""
        return tuple(replace(held, rows=self._place(call)) for held in super().tensors(call))

    def options(self, call: Call) -> dict[str, Any]:
        """The sizes of the normalised axes, and whether it scales and shifts."""
        given = self.arguments(call)
        if call.module is not None:
            given = {name: getattr(call.module, name, None) for name in self.out_axes}
        return {
            "over": self._over(call),
            "affine": given.get("weight") is not None,
            "bias": given.get("bias") is not None,
        }

    def params(self, shape: Shape) -> int:
        """Scale and shift, a number each for every normalised place."""
        return int(math.prod(shape["over"]) * (int(shape["affine"]) + int(shape["bias"])))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One LayerNormalization."""
        over = shape["over"]
        return (
            Op(
                type="LayerNormalization",
                weights=(over, over),
                attributes=(("axis", -len(over)),),
            ),
        )

    def _over(self, call: Call) -> tuple[int, ...]:
        if isinstance(call.module, nn.LayerNorm | nn.RMSNorm):
            return tuple(call.module.normalized_shape)
        sizes = plain(self.arguments(call)["normalized_shape"])
        return sizes if isinstance(sizes, tuple) else (sizes,)

    def _place(self, call: Call) -> int | None:
        """The channels' place among the normalised axes."""
        value = call.values[0]
        if value.axis is None:
            return None
        place: int = value.axis - (len(value.shape) - len(self._over(call)))
        return place if place >= 0 else None


class RMSNorm(LayerNorm):
    """Layer norm without a mean and without a shift."""

    name = "rms_norm"
    modules = (nn.RMSNorm,)
    functions: ClassVar = dict.fromkeys(
        (F.rms_norm, torch.rms_norm, torch.ops.aten.rms_norm.default), RMS
    )
    out_axes: ClassVar = {"weight": 0}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Square, mean, root, quotient, scale: an operator of its own came after opset 20."""
        over = shape["over"]
        return (
            Op(type="Mul", inputs=("x", "x")),
            Op(type="ReduceMean", inputs=("0",), integers=(tuple(range(-len(over), 0)),)),
            Op(type="Sqrt", inputs=("1",)),
            Op(type="Div", inputs=("x", "2")),
            Op(type="Mul", inputs=("3",), weights=(over,)),
        )

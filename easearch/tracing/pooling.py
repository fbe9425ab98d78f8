"""Pooling: per channel, over positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


def _pair(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


class GlobalPool(Kind):
    """The mean over all positions; `x.mean((2, 3))` drops the empty axes as well."""

    name = "global_pool"
    role = Role.FOLLOWS
    modules = (nn.AdaptiveAvgPool2d,)
    functions = (torch.mean, F.adaptive_avg_pool2d)
    methods = ("mean",)

    def accepts(self, call: Call) -> bool:
        """Maps (N, C, H, W) down to one number a channel."""
        if len(call.in_shapes[0]) != 4:
            return False
        n, c = call.in_shapes[0][:2]
        means = call.target in (torch.mean, "mean")
        return call.out_shape in ((n, c, 1, 1), (n, c)) and (
            not means or _axes(call) in ((2, 3), (-2, -1))
        )

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """GlobalAveragePool, flattened where the axes were dropped."""
        pool = Op(type="GlobalAveragePool")
        return (pool,) if shape.out_size else (pool, Op(type="Flatten", inputs=("0",)))


class Pool(Kind):
    """Average or maximum over windows."""

    name = "pool"
    role = Role.FOLLOWS
    modules = (nn.AvgPool2d, nn.MaxPool2d)

    def options(self, call: Call) -> dict[str, Any]:
        """Kind of pool, window, stride, padding."""
        pool = call.module
        assert isinstance(pool, nn.AvgPool2d | nn.MaxPool2d)
        return {
            "function": "max" if isinstance(pool, nn.MaxPool2d) else "average",
            "kernel": _pair(pool.kernel_size),
            "stride": _pair(pool.stride or pool.kernel_size),
            "pads": _pair(pool.padding) * 2,
            "ceil": int(pool.ceil_mode),
        }

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """MaxPool or AveragePool."""
        return (
            Op(
                type="MaxPool" if shape["function"] == "max" else "AveragePool",
                attributes=(
                    ("kernel_shape", shape["kernel"]),
                    ("strides", shape["stride"]),
                    ("pads", shape["pads"]),
                    ("ceil_mode", shape["ceil"]),
                ),
            ),
        )


def _axes(call: Call) -> tuple[int, ...]:
    axes = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else ())
    return tuple(axes) if isinstance(axes, tuple | list) else (axes,)

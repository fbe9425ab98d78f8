"""Pooling: per channel, over windows of positions or over all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.conv import spread
from easearch.tracing.kinds.numbers import axes, plain
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
_MAX = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVERAGE = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_ADAPTIVE = ("input", "output_size", "return_indices")
_MEAN = ("input", "dim", "keepdim")
_INTERPOLATE = ("input", "size", "scale_factor", "mode")
_MEANS = (torch.mean, "mean", ATEN.mean.dim)

_AVERAGES: dict[Callable[..., Any], int] = {
    **dict.fromkeys((F.adaptive_avg_pool1d, ATEN.adaptive_avg_pool1d.default), 1),
    **dict.fromkeys((F.adaptive_avg_pool2d, ATEN.adaptive_avg_pool2d.default), 2),
    **dict.fromkeys((F.adaptive_avg_pool3d, ATEN.adaptive_avg_pool3d.default), 3),
}
"""Adaptive pools, and over how many axes they go."""
_MAXIMA: dict[Callable[..., Any], int] = {
    **dict.fromkeys((F.adaptive_max_pool1d, ATEN.adaptive_max_pool1d.default), 1),
    **dict.fromkeys((F.adaptive_max_pool2d, ATEN.adaptive_max_pool2d.default), 2),
    **dict.fromkeys((F.adaptive_max_pool3d, ATEN.adaptive_max_pool3d.default), 3),
}
_WINDOW_MAX: dict[Callable[..., Any], int] = {
    **dict.fromkeys((F.max_pool1d, torch.max_pool1d, ATEN.max_pool1d.default), 1),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d, ATEN.max_pool2d.default), 2),
    **dict.fromkeys((F.max_pool3d, torch.max_pool3d, ATEN.max_pool3d.default), 3),
}
_WINDOW_AVERAGE: dict[Callable[..., Any], int] = {
    **dict.fromkeys((F.avg_pool1d, ATEN.avg_pool1d.default), 1),
    **dict.fromkeys((F.avg_pool2d, ATEN.avg_pool2d.default), 2),
    **dict.fromkeys((F.avg_pool3d, ATEN.avg_pool3d.default), 3),
}


class Pooling(Kind):
    """What all pools share: positions stand behind the channels, which stand at axis 1."""

    role = Role.FOLLOWS
    takes_sizes = True  # windows as large as a map

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on.

        Raises:
            Apart: positions are elsewhere, or the result tells positions.
        """
        if call.piece not in (None, 0):
            raise Apart("it gives positions")
        if axis_of(call.values[0]) != 1:
            raise Apart("it pools over the axis of the channels")
        return super().through(call, layouts)


class GlobalPool(Pooling):
    """The mean over all positions of a map; `x.mean((2, 3))` drops the empty axes as well."""

    name = "global_pool"
    modules = (nn.AdaptiveAvgPool2d,)
    functions: ClassVar = {
        **dict.fromkeys((torch.mean, ATEN.mean.dim), _MEAN),
        **dict.fromkeys((f for f, dims in _AVERAGES.items() if dims == 2), _ADAPTIVE),
    }
    methods: ClassVar = {"mean": _MEAN}

    def accepts(self, call: Call) -> bool:
        """Maps (N, C, H, W) down to one number a channel."""
        shape = call.values[0].shape
        if len(shape) != 4 or call.values[0].axis != 1:
            return False
        whole = call.target not in _MEANS or axes(self.arguments(call).get("dim"), 4) == (2, 3)
        return whole and call.out_shape in ((*shape[:2], 1, 1), shape[:2])

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """GlobalAveragePool, flattened where the axes were dropped."""
        pool = Op(type="GlobalAveragePool")
        return (pool,) if shape.out_size else (pool, Op(type="Flatten", inputs=("0",)))


class AdaptivePool(Pooling):
    """Mean or maximum over as many windows as the output has positions."""

    name = "adaptive_pool"
    modules = (
        *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    )
    functions: ClassVar = {
        **dict.fromkeys((*_AVERAGES, *_MAXIMA), _ADAPTIVE),
        F.interpolate: _INTERPOLATE,
    }

    def accepts(self, call: Call) -> bool:
        """Batches of maps; an interpolation only by areas, which is the same."""
        if call.target is F.interpolate and self.arguments(call).get("mode") != "area":
            return False
        dims = {**_AVERAGES, **_MAXIMA}.get(call.target, len(call.out_shape) - 2)
        if call.module is not None:
            dims = self.modules.index(type(call.module)) % 3 + 1
        return len(call.out_shape) == dims + 2

    def options(self, call: Call) -> dict[str, Any]:
        """Mean or maximum."""
        if call.module is not None:
            largest = self.modules.index(type(call.module)) > 2
        else:
            largest = call.target in _MAXIMA
        return {"function": "max" if largest else "average"}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A pool with windows of one size, exact where the output's size divides the input's."""
        sizes = tuple(zip(shape.in_size, shape.out_size, strict=True))
        stride = tuple(max(1, i // o) for i, o in sizes)
        kernel = tuple(max(1, i - (o - 1) * s) for (i, o), s in zip(sizes, stride, strict=True))
        kind = "MaxPool" if shape["function"] == "max" else "AveragePool"
        return (Op(type=kind, attributes=(("kernel_shape", kernel), ("strides", stride))),)


class Pool(Pooling):
    """Average or maximum over windows."""

    name = "pool"
    modules = (
        *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
        *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    )
    functions: ClassVar = {
        **dict.fromkeys(_WINDOW_MAX, _MAX),
        **dict.fromkeys(_WINDOW_AVERAGE, _AVERAGE),
    }

    def accepts(self, call: Call) -> bool:
        """Batches of maps; the maxima alone, not where they stand."""
        given = self._settings(call)
        return not given.get("return_indices") and len(call.out_shape) == given["dims"] + 2

    def options(self, call: Call) -> dict[str, Any]:
        """Kind of pool, window, stride, padding, and what else is unusual."""
        given = self._settings(call)
        dims = given["dims"]
        kernel = spread(given["kernel_size"], dims)
        options = {
            "function": given["function"],
            "kernel": kernel,
            "stride": spread(given["stride"], dims) if given.get("stride") else kernel,
            "pads": spread(given.get("padding", 0), dims) * 2,
            "ceil": int(given.get("ceil_mode", False)),
        }
        dilation = spread(given.get("dilation", 1), dims)
        if math.prod(dilation) > 1:
            options["dilation"] = dilation
        if given["function"] == "average" and any(options["pads"]):
            options["counts_pads"] = int(given.get("count_include_pad", True))
        return options

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """MaxPool or AveragePool."""
        options = dict(shape.options)
        unusual = {"dilation": "dilations", "counts_pads": "count_include_pad"}
        return (
            Op(
                type="MaxPool" if options["function"] == "max" else "AveragePool",
                attributes=(
                    ("kernel_shape", options["kernel"]),
                    ("strides", options["stride"]),
                    ("pads", options["pads"]),
                    ("ceil_mode", options["ceil"]),
                    *((unusual[name], options[name]) for name in unusual if name in options),
                ),
            ),
        )

    def _settings(self, call: Call) -> dict[str, Any]:
        """Arguments of the pool, what it takes of a window, and over how many axes it goes."""
        if call.module is not None:
            place = self.modules.index(type(call.module))
            names: tuple[str, ...] = _MAX if place > 2 else _AVERAGE
            given = {name: getattr(call.module, name) for name in names[1:]}
            dims = place % 3 + 1
        else:
            given = {n: plain(v) for n, v in self.arguments(call).items() if n != "input"}
            dims = {**_WINDOW_MAX, **_WINDOW_AVERAGE}[call.target]
            names = self.functions[call.target]
        return {**given, "dims": dims, "function": "max" if names is _MAX else "average"}

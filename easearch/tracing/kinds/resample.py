"""Maps made larger or smaller by interpolation between positions."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through, axis_of

ATEN = torch.ops.aten
_INTERPOLATE = (
    *("input", "size", "scale_factor", "mode", "align_corners"),
    *("recompute_scale_factor", "antialias"),
)
_NEAREST = ("input", "output_size", "scale_factors")
_SMOOTH = ("input", "output_size", "align_corners", "scale_factors")
_ATEN: dict[Any, tuple[str, bool, tuple[str, ...]]] = {
    ATEN.upsample_nearest1d.vec: ("nearest", False, _NEAREST),
    ATEN.upsample_nearest2d.vec: ("nearest", False, _NEAREST),
    ATEN.upsample_nearest3d.vec: ("nearest", False, _NEAREST),
    ATEN._upsample_nearest_exact1d.vec: ("nearest-exact", False, _NEAREST),
    ATEN._upsample_nearest_exact2d.vec: ("nearest-exact", False, _NEAREST),
    ATEN._upsample_nearest_exact3d.vec: ("nearest-exact", False, _NEAREST),
    ATEN.upsample_linear1d.vec: ("linear", False, _SMOOTH),
    ATEN.upsample_bilinear2d.vec: ("linear", False, _SMOOTH),
    ATEN.upsample_trilinear3d.vec: ("linear", False, _SMOOTH),
    ATEN.upsample_bicubic2d.vec: ("cubic", False, _SMOOTH),
    ATEN._upsample_bilinear2d_aa.vec: ("linear", True, _SMOOTH),
    ATEN._upsample_bicubic2d_aa.vec: ("cubic", True, _SMOOTH),
}
"""Operator -> mode, whether it smooths first, and the names of its arguments."""
_MODES = {
    **{name: name for name in ("nearest", "nearest-exact", "linear")},
    **dict.fromkeys(("bilinear", "trilinear"), "linear"),
    "bicubic": "cubic",
}


class Resample(Kind):
    """Interpolation over positions, channel by channel; the size is the output's own."""

    name = "resample"
    role = Role.FOLLOWS
    modules = (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
    functions: ClassVar = {
        F.interpolate: _INTERPOLATE,
        **{target: names for target, (_, _, names) in _ATEN.items()},
    }
    takes_sizes = True  # another map's

    def accepts(self, call: Call) -> bool:
        """All modes but `area`, which is a pool."""
        return call.target in _ATEN or self._settings(call)["mode"] in _MODES

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on.

        Raises:
            Apart: positions are not behind the channels.
        """
        if axis_of(call.values[0]) != 1:
            raise Apart("it interpolates over the axis of the channels")
        return super().through(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """Mode, whether corners are aligned, whether it smooths before it samples."""
        given = self._settings(call)
        if call.target in _ATEN:
            mode, smooths, _ = _ATEN[call.target]
        else:
            mode, smooths = _MODES[given["mode"]], bool(given.get("antialias"))
        return {"mode": mode, "aligned": bool(given.get("align_corners")), "smooths": smooths}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Resize to the output's size."""
        mode, exact = shape["mode"].split("-")[0], shape["mode"] == "nearest-exact"
        where = "half_pixel"
        if shape["aligned"]:
            where = "align_corners"
        elif shape["mode"] == "nearest":
            where = "asymmetric"
        return (
            Op(
                type="Resize",
                inputs=("x", "", ""),
                integers=(shape.out_shape,),
                attributes=(
                    ("mode", mode),
                    ("coordinate_transformation_mode", where),
                    ("nearest_mode", "round_prefer_ceil" if exact else "floor"),
                    ("cubic_coeff_a", -0.75),
                    *((("antialias", 1),) if shape["smooths"] else ()),
                ),
            ),
        )

    def _settings(self, call: Call) -> dict[str, Any]:
        if isinstance(call.module, nn.Upsample):
            return {"mode": call.module.mode, "align_corners": call.module.align_corners}
        return {"mode": "nearest", **self.arguments(call)}

"""Padding: positions added around a map, or cut off."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.numbers import plain
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.through import Through

_ARGUMENTS = ("input", "pad", "mode", "value")
_CONSTANT = ("input", "pad", "value")
_MODULES: dict[type[nn.Module], str] = {
    **dict.fromkeys((nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d), "constant"),
    **dict.fromkeys((nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), "constant"),
    **dict.fromkeys((nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d), "reflect"),
    **dict.fromkeys((nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d), "replicate"),
    **dict.fromkeys((nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d), "circular"),
}
_ONNX = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Pad(Kind):
    """Padding of positions, channel by channel."""

    name = "pad"
    role = Role.FOLLOWS
    modules = tuple(_MODULES)
    functions: ClassVar = {
        **dict.fromkeys((F.pad, torch.ops.aten.pad.default), _ARGUMENTS),
        **dict.fromkeys((torch.constant_pad_nd, torch.ops.aten.constant_pad_nd.default), _CONSTANT),
    }
    takes_sizes = True  # the difference of two maps

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on.

        Raises:
            Apart: it adds channels or samples, or cuts them off.
        """
        value = call.values[0]
        begins, ends = self._pads(call)
        for axis, told in ((value.axis, "channels"), (0, "samples")):
            if axis is not None and (begins[axis] or ends[axis]):
                raise Apart(f"it adds {told} of its own")
        return super().through(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """What is added, and how much before and behind every axis."""
        begins, ends = self._pads(call)
        if call.module is not None:
            mode = _MODULES[type(call.module)]
        else:
            mode = self.arguments(call).get("mode", "constant")
        return {"mode": mode, "pads": (*begins, *ends)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Pad."""
        return (
            Op(
                type="Pad",
                integers=(shape["pads"],),
                attributes=(("mode", _ONNX[shape["mode"]]),),
            ),
        )

    def _pads(self, call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Numbers before and behind, for every axis; torch counts from the last axis."""
        given = plain(self.arguments(call)["pad"] if call.module is None else call.module.padding)
        dims = len(call.out_shape)
        padded = (*given, *(0,) * (2 * dims - len(given)))
        return tuple(reversed(padded[::2])), tuple(reversed(padded[1::2]))

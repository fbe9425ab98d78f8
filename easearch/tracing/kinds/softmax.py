"""Softmax: numbers along one axis as shares of a whole."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through

ATEN = torch.ops.aten
_ARGUMENTS = ("input", "dim")
_SOFT = (F.softmax, torch.softmax, torch.special.softmax, ATEN.softmax.int, ATEN._softmax.default)
_LOG = (
    *(F.log_softmax, torch.log_softmax, torch.special.log_softmax),
    *(ATEN.log_softmax.int, ATEN._log_softmax.default),
)


class Softmax(Kind):
    """Softmax, or its logarithm, over one axis; over the channels none of them may change."""

    name = "softmax"
    role = Role.FOLLOWS
    modules = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax)
    functions: ClassVar = dict.fromkeys((*_SOFT, *_LOG), _ARGUMENTS)
    methods: ClassVar = dict.fromkeys(("softmax", "log_softmax"), _ARGUMENTS)

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Hands the channels on; a copy of one would take its share from all the others."""
        value = call.values[0]
        if value.axis == self._axis(call):
            called = f"'{call.path}' is" if call.path else "it goes through"
            layouts.freeze(
                value.layout,
                f"{called} a softmax over the channels: a copy would change the shares of all",
            )
        return super().through(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """The axis, and whether logarithms come out."""
        if call.module is not None:
            log = isinstance(call.module, nn.LogSoftmax)
        else:
            log = call.target in _LOG or call.target == "log_softmax"
        return {"function": "log_softmax" if log else "softmax", "axis": self._axis(call)}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Softmax or LogSoftmax."""
        kind = "LogSoftmax" if shape["function"] == "log_softmax" else "Softmax"
        return (Op(type=kind, attributes=(("axis", shape["axis"]),)),)

    def _axis(self, call: Call) -> int:
        dims = len(call.out_shape)
        if isinstance(call.module, nn.Softmax2d):
            return dims - 3
        if call.module is not None:
            given = getattr(call.module, "dim", None)
        else:
            given = self.arguments(call).get("dim")
        if given is None:  # torch's own habit where nobody says
            return 0 if dims in (1, 3) else 1
        return int(given) % dims

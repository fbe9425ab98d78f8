"""Tables of vectors that whole numbers are looked up in. Their widths stay."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call, Parameter, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, one_sample

ATEN = torch.ops.aten
ARGUMENTS = ("input", "weight", "padding_idx", "max_norm")
WHY = "embeddings keep their width"


class Embedding(Kind):
    """The rows of a parameter at the places that the input names; a copy, no multiplication."""

    name = "embedding"
    role = Role.MIXES
    modules = (nn.Embedding,)
    functions: ClassVar = {
        F.embedding: ARGUMENTS,
        ATEN.embedding.default: ("weight", "input", "padding_idx"),
    }

    def accepts(self, call: Call) -> bool:
        """A value looked up in a parameter that the call leaves as it is (`max_norm` does not)."""
        if isinstance(call.module, nn.Embedding):
            return call.module.max_norm is None and len(call.values) == 1
        given = self.arguments(call)
        looked_up = isinstance(given.get("input"), Value)
        return (
            looked_up and isinstance(given.get("weight"), Parameter) and not given.get("max_norm")
        )

    def through(self, call: Call, layouts: Layouts) -> Through:
        """The last axis holds channels that cannot change; what is looked up has none."""
        for value in call.values:
            layouts.freeze(value.layout, WHY)
        last = len(call.out_shape) - 1
        writes = layouts.begin(call.out_shape[last], WHY)
        return Through(reads=(), in_axis=1, axis=last, writes=writes)

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The table, along no axis, since no channel changes."""
        if call.module is not None:
            return (Held(role="weight", path=f"{call.path}.weight"),)
        return (Held(role="weight", path=self.arguments(call)["weight"].path),)

    def options(self, call: Call) -> dict[str, Any]:
        """How many rows the table has, and the sizes of what is looked up."""
        if isinstance(call.module, nn.Embedding):
            rows = call.module.num_embeddings
        else:
            rows = self.arguments(call)["weight"].shape[0]
        return {"rows": rows, "operands": (one_sample(call.values[0].shape, call.batch),)}

    def params(self, shape: Shape) -> int:
        """Rows x width."""
        return int(shape["rows"] * shape.out_channels)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Gather; the numbers that models are timed with are made places first."""
        table = (shape["rows"], shape.out_channels)
        return (
            Op(type="Clip", scalars=(0.0, shape["rows"] - 1.0)),
            Op(type="Cast", inputs=("0",), attributes=(("to", TensorProto.INT64),)),
            # A Gather takes its table first; in int8 the table is quantized, as a Reshape's is.
            Op(type="Reshape", inputs=(), weights=(table,), integers=(table,)),
            Op(type="Gather", inputs=("2", "1")),
        )

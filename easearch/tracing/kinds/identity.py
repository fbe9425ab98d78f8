"""What does nothing to the numbers when a network is used: dropout, copies, changes of type."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.call import Call, found
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.numbers import plain

ATEN = torch.ops.aten
_METHODS = (
    *("contiguous", "clone", "detach", "detach_", "requires_grad_", "type_as", "to"),
    *("float", "double", "half", "bfloat16", "cpu", "cuda"),
)
_FUNCTIONS = (
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout),
    *(torch.dropout, torch.dropout_, torch.feature_dropout, torch.alpha_dropout),
    *(torch.clone, torch.detach, torch.Tensor.contiguous, torch.Tensor.clone),
    *(ATEN.dropout.default, ATEN.dropout_.default, ATEN.feature_dropout.default),
    *(ATEN.feature_dropout_.default, ATEN.alpha_dropout.default, ATEN.alpha_dropout_.default),
    *(ATEN.feature_alpha_dropout.default, ATEN.contiguous.default, ATEN.clone.default),
    *(ATEN.detach.default, ATEN.detach_.default, ATEN.alias.default, ATEN.lift_fresh.default),
    *(ATEN.lift_fresh_copy.default, ATEN.type_as.default, ATEN._to_copy.default),
    *(ATEN.to.dtype, ATEN.to.device, ATEN.to.dtype_layout, ATEN.to.other),
)


class Identity(Kind):
    """Passes every number on; in training dropout silences some at random."""

    name = "identity"
    role = Role.FOLLOWS
    modules = (
        *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
        *(nn.AlphaDropout, nn.FeatureAlphaDropout),
    )
    functions: ClassVar = dict.fromkeys(_FUNCTIONS, ("input",))
    methods: ClassVar = dict.fromkeys(_METHODS, ("input",))
    takes_sizes = True  # the type or the place of another tensor

    def accepts(self, call: Call) -> bool:
        """What stays a floating number: whole numbers would be cut."""
        types: Any = found(torch.dtype, plain((*call.args, *call.kwargs.values())))
        return all(one.is_floating_point for one in types)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """One Identity; runtimes remove it."""
        return (Op(type="Identity"),)

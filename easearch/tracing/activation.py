"""Element-wise activations, with the places where their slope jumps.

A jump is curvature that automatic differentiation does not see: `sigma'' = jump * delta(z - at)`.
Scoring smooths it; the published surrogate for ReLU, softplus with beta 3, is the case (0,
1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Shape
from easearch.tracing.kind import Call, Kind, Op, Role


@dataclass(frozen=True, kw_only=True)
class Function:
    """One activation: how it is called, where its slope jumps (position, jump), and its ONNX
    operators.
    """

    name: str
    module: type[nn.Module]
    calls: tuple[Callable[..., Any], ...]
    jumps: tuple[tuple[float, float], ...] = ()
    ops: tuple[Op, ...]


FUNCTIONS = (
    Function(
        name="silu",
        module=nn.SiLU,
        calls=(F.silu,),
        ops=(Op(type="Sigmoid"), Op(type="Mul", inputs=("x", "0"))),
    ),
    Function(
        name="relu",
        module=nn.ReLU,
        calls=(F.relu, torch.relu),
        jumps=((0.0, 1.0),),
        ops=(Op(type="Relu"),),
    ),
    Function(
        name="relu6",
        module=nn.ReLU6,
        calls=(F.relu6,),
        jumps=((0.0, 1.0), (6.0, -1.0)),
        ops=(Op(type="Clip", scalars=(0.0, 6.0)),),
    ),
    Function(
        name="hardswish",
        module=nn.Hardswish,
        calls=(F.hardswish,),
        jumps=((-3.0, -0.5), (3.0, -0.5)),
        ops=(Op(type="HardSwish"),),
    ),
    Function(
        name="sigmoid",
        module=nn.Sigmoid,
        calls=(F.sigmoid, torch.sigmoid),
        ops=(Op(type="Sigmoid"),),
    ),
    Function(name="tanh", module=nn.Tanh, calls=(F.tanh, torch.tanh), ops=(Op(type="Tanh"),)),
)


class Activation(Kind):
    """An element-wise function without parameters."""

    name = "activation"
    role = Role.FOLLOWS
    modules = tuple(function.module for function in FUNCTIONS)
    functions = tuple(call for function in FUNCTIONS for call in function.calls)
    methods = ("relu", "sigmoid", "tanh")

    def options(self, call: Call) -> dict[str, Any]:
        """Which function."""
        return {"function": _function(call).name}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """The function's own operators."""
        return next(f.ops for f in FUNCTIONS if f.name == shape["function"])


def jumps(name: str) -> tuple[tuple[float, float], ...]:
    """Where the slope of the activation of that name jumps: (position, jump)."""
    return next(function.jumps for function in FUNCTIONS if function.name == name)


def _function(call: Call) -> Function:
    # By exact type: ReLU6 is a subclass of Hardtanh, user subclasses may compute something else.
    for function in FUNCTIONS:
        if type(call.module) is function.module or call.target in (*function.calls, function.name):
            return function
    raise LookupError(call.target)

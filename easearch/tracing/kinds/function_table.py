"""The table of element-wise functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from easearch.tracing.kind import Op
from easearch.tracing.kinds.functions import Function, Jumps, Values, aten

LARGEST = float(torch.finfo(torch.float32).max)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _one(kind: str, *scalars: float, **attributes: Any) -> Callable[[Values], Sequence[Op]]:
    found = Op(type=kind, scalars=scalars, attributes=tuple(attributes.items()))
    return lambda _: (found,)


def _softplus(of: Values) -> Sequence[Op]:
    return (
        Op(type="Mul", scalars=(of["beta"],)),
        Op(type="Softplus", inputs=("0",)),
        Op(type="Div", inputs=("1",), scalars=(of["beta"],)),
    )


def _log_sigmoid(_: Values) -> Sequence[Op]:
    return (
        Op(type="Neg"),
        Op(type="Softplus", inputs=("0",)),
        Op(type="Neg", inputs=("1",)),
    )


def _clip(of: Values) -> Sequence[Op]:
    low = -LARGEST if of["min"] is None else of["min"]
    high = LARGEST if of["max"] is None else of["max"]
    return (Op(type="Clip", scalars=(low, high)),)


def _clip_bends(of: Values) -> Jumps:
    ends = ((of["min"], 1.0), (of["max"], -1.0))
    return tuple((at, jump) for at, jump in ends if at is not None)


def _threshold(of: Values) -> Sequence[Op]:
    return (
        Op(type="Greater", scalars=(of["threshold"],)),
        Op(type="Where", inputs=("0", "x"), scalars=(of["value"],)),
    )


_RANGE = ("input", "min", "max")
_HARDTANH = ("input", "min_val", "max_val")
FUNCTIONS = (
    Function(
        name="silu",
        module=nn.SiLU,
        calls=(F.silu,),
        exported=lambda _: (Op(type="Sigmoid"), Op(type="Mul", inputs=("x", "0"))),
    ),
    Function(
        name="relu",
        module=nn.ReLU,
        calls=(F.relu, torch.relu, torch.relu_),
        bends=lambda _: ((0.0, 1.0),),
        exported=_one("Relu"),
    ),
    Function(
        name="relu6",
        module=nn.ReLU6,
        calls=(F.relu6,),
        bends=lambda _: ((0.0, 1.0), (6.0, -1.0)),
        exported=_one("Clip", 0.0, 6.0),
    ),
    Function(
        name="hardswish",
        module=nn.Hardswish,
        calls=(F.hardswish,),
        bends=lambda _: ((-3.0, -0.5), (3.0, -0.5)),
        exported=_one("HardSwish"),
    ),
    Function(
        name="sigmoid",
        module=nn.Sigmoid,
        calls=(F.sigmoid, torch.sigmoid, torch.special.expit),
        exported=_one("Sigmoid"),
    ),
    Function(
        name="tanh", module=nn.Tanh, calls=(F.tanh, torch.tanh, torch.tanh_), exported=_one("Tanh")
    ),
    Function(
        name="gelu",
        module=nn.GELU,
        calls=(F.gelu,),
        defaults={"approximate": "none"},
        exported=lambda of: (Op(type="Gelu", attributes=(("approximate", of["approximate"]),)),),
    ),
    Function(
        name="leaky_relu",
        module=nn.LeakyReLU,
        calls=(F.leaky_relu, F.leaky_relu_),
        defaults={"negative_slope": 0.01},
        bends=lambda of: ((0.0, 1 - of["negative_slope"]),),
        exported=lambda of: (Op(type="LeakyRelu", attributes=(("alpha", of["negative_slope"]),)),),
    ),
    Function(
        name="elu",
        module=nn.ELU,
        calls=(F.elu, F.elu_),
        defaults={"alpha": 1.0},
        spelled=dict.fromkeys(
            (*aten("elu"), *aten("elu_")), ("input", "alpha", "scale", "input_scale")
        ),
        bends=lambda of: ((0.0, 1 - of["alpha"]),),
        exported=lambda of: (Op(type="Elu", attributes=(("alpha", of["alpha"]),)),),
    ),
    Function(
        name="selu",
        module=nn.SELU,
        calls=(F.selu, torch.selu, torch.selu_),
        bends=lambda _: ((0.0, SELU_SCALE * (1 - SELU_ALPHA)),),
        exported=_one("Selu"),
    ),
    Function(
        name="celu",
        module=nn.CELU,
        calls=(F.celu, torch.celu, torch.celu_),
        defaults={"alpha": 1.0},
        exported=lambda of: (Op(type="Celu", attributes=(("alpha", of["alpha"]),)),),
    ),
    Function(name="mish", module=nn.Mish, calls=(F.mish,), exported=_one("Mish")),
    Function(
        name="softplus",
        module=nn.Softplus,
        calls=(F.softplus,),
        defaults={"beta": 1.0, "threshold": 20.0},
        exported=_softplus,
    ),
    Function(name="softsign", module=nn.Softsign, calls=(F.softsign,), exported=_one("Softsign")),
    Function(
        name="hardsigmoid",
        module=nn.Hardsigmoid,
        calls=(F.hardsigmoid,),
        bends=lambda _: ((-3.0, 1 / 6), (3.0, -1 / 6)),
        exported=_one("HardSigmoid", alpha=1 / 6, beta=0.5),
    ),
    Function(
        name="clamp",
        module=nn.Hardtanh,
        calls=(torch.clamp, torch.clip, torch.clamp_, torch.clip_),
        defaults={"min": None, "max": None},
        spelled={
            **dict.fromkeys(("clip", "clip_", *aten("clip"), *aten("clip_")), _RANGE),
            **dict.fromkeys(
                (F.hardtanh, F.hardtanh_, *aten("hardtanh"), *aten("hardtanh_")), _HARDTANH
            ),
            **dict.fromkeys(
                ("clamp_min", "clamp_min_", torch.clamp_min, *aten("clamp_min")), ("input", "min")
            ),
            **dict.fromkeys(
                ("clamp_max", "clamp_max_", torch.clamp_max, *aten("clamp_max")), ("input", "max")
            ),
        },
        bends=_clip_bends,
        exported=_clip,
    ),
    Function(
        name="logsigmoid",
        module=nn.LogSigmoid,
        calls=(F.logsigmoid,),
        spelled=dict.fromkeys(aten("log_sigmoid"), ("input",)),
        exported=_log_sigmoid,
    ),
    Function(
        name="tanhshrink",
        module=nn.Tanhshrink,
        calls=(F.tanhshrink,),
        exported=lambda _: (Op(type="Tanh"), Op(type="Sub", inputs=("x", "0"))),
    ),
    Function(
        name="softshrink",
        module=nn.Softshrink,
        calls=(F.softshrink,),
        defaults={"lambd": 0.5},
        bends=lambda of: ((-of["lambd"], -1.0), (of["lambd"], 1.0)),
        exported=lambda of: (
            Op(type="Shrink", attributes=(("bias", of["lambd"]), ("lambd", of["lambd"]))),
        ),
    ),
    Function(
        name="threshold",
        module=nn.Threshold,
        calls=(F.threshold, torch.threshold_),
        defaults={"threshold": 0.0, "value": 0.0},
        # Where the value itself jumps there is no slope to speak of: only the change of slope.
        bends=lambda of: ((of["threshold"], 1.0),),
        exported=_threshold,
    ),
    Function(
        name="abs",
        calls=(torch.abs, operator.abs, torch.absolute, torch.abs_),
        spelled={"absolute": ("input",)},
        bends=lambda _: ((0.0, 2.0),),
        exported=_one("Abs"),
    ),
    Function(
        name="neg",
        calls=(torch.neg, operator.neg, torch.negative, torch.neg_),
        spelled={"negative": ("input",)},
        exported=_one("Neg"),
    ),
    Function(name="exp", calls=(torch.exp, torch.exp_), exported=_one("Exp")),
    Function(
        name="expm1",
        calls=(torch.expm1, torch.expm1_),
        exported=lambda _: (Op(type="Exp"), Op(type="Sub", inputs=("0",), scalars=(1.0,))),
    ),
    Function(
        name="log1p",
        calls=(torch.log1p, torch.log1p_),
        exported=lambda _: (Op(type="Add", scalars=(1.0,)), Op(type="Log", inputs=("0",))),
    ),
    Function(name="log", calls=(torch.log, torch.log_), exported=_one("Log")),
    Function(name="sqrt", calls=(torch.sqrt, torch.sqrt_), exported=_one("Sqrt")),
    Function(name="erf", calls=(torch.erf, torch.erf_, torch.special.erf), exported=_one("Erf")),
    Function(name="sin", calls=(torch.sin, torch.sin_), exported=_one("Sin")),
    Function(name="cos", calls=(torch.cos, torch.cos_), exported=_one("Cos")),
    Function(
        name="reciprocal", calls=(torch.reciprocal, torch.reciprocal_), exported=_one("Reciprocal")
    ),
    Function(
        name="rsqrt",
        calls=(torch.rsqrt, torch.rsqrt_),
        exported=lambda _: (Op(type="Sqrt"), Op(type="Reciprocal", inputs=("0",))),
    ),
    Function(
        name="square",
        calls=(torch.square, torch.square_),
        exported=lambda _: (Op(type="Mul", inputs=("x", "x")),),
    ),
    Function(
        name="pow",
        calls=(torch.pow, operator.pow),
        defaults={"exponent": 1.0},
        spelled=dict.fromkeys((torch.ops.aten.pow.Tensor_Scalar,), ("input", "exponent")),
        exported=lambda of: (Op(type="Pow", scalars=(of["exponent"],)),),
    ),
)
BY_NAME: Mapping[str, Function] = {function.name: function for function in FUNCTIONS}

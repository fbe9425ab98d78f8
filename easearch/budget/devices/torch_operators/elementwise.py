"""Rules for functions of single numbers, reductions, and matrix products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from onnx import helper
from torch import Tensor

from easearch.budget.devices.torch_operators.node import Function, Node, Rule, direct

SELU = (1.67326319217681884765625, 1.05070102214813232421875)
"""The defaults of Selu, as torch has them."""


def _gelu(node: Node) -> Function:
    approximate = node.attribute("approximate", "none")
    return lambda x: F.gelu(x, approximate=approximate)


def _with_alpha(function: Function, default: float) -> Rule:
    def make(node: Node) -> Function:
        alpha = node.attribute("alpha", default)
        return lambda x: function(x, alpha)

    return Rule(make=make)


def _selu(node: Node) -> Function:
    alpha, gamma = node.attribute("alpha", SELU[0]), node.attribute("gamma", SELU[1])
    if math.isclose(alpha, SELU[0], rel_tol=1e-6) and math.isclose(gamma, SELU[1], rel_tol=1e-6):
        return F.selu
    return lambda x: gamma * F.elu(x, alpha)


def _hard_sigmoid(node: Node) -> Function:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return F.hardsigmoid
    return lambda x: torch.clamp(alpha * x + beta, 0, 1)


def _shrink(node: Node) -> Function:
    lambd, bias = node.attribute("lambd", 0.5), node.attribute("bias", 0.0)
    if lambd == bias:
        return lambda x: F.softshrink(x, lambd)
    return lambda x: torch.where(x.abs() > lambd, x - bias * torch.sign(x), 0)


def _prelu(node: Node) -> Function:
    channels, slopes = node.shape[1:2], node.shape_of(1)
    behind = (1,) * (len(node.shape) - 2)
    if slopes == (*channels, *behind) or math.prod(slopes) == 1:
        return lambda x, slope: F.prelu(x, slope.flatten())
    return lambda x, slope: torch.where(x < 0, slope * x, x)


def _clip(node: Node) -> Function:
    low, high = node.number(1), node.number(2)
    if low is None and high is None:
        return _same
    return lambda x: torch.clamp(x, low, high)


def _same(x: Tensor) -> Tensor:
    return x


def _dropout(node: Node) -> Function:
    if node.number(2, False):
        raise node.refused("training_mode")
    return _same


def _divide(x: Tensor, y: Tensor) -> Tensor:
    whole = not (x.is_floating_point() or y.is_floating_point())
    return torch.div(x, y, rounding_mode="trunc" if whole else None)


def _power(node: Node) -> Function:
    if node.given(1) and node.known[1] and not node.shape_of(1):
        exponent = node.number(1)
        return lambda x, _: torch.pow(x, exponent)
    return lambda x, y: torch.pow(x, y).to(x.dtype)


def _folded(function: Callable[[Any, Any], Any]) -> Rule:
    """Of two tensors, then of the outcome and the third, and so on."""
    return direct(lambda *tensors: functools.reduce(function, tensors))


def _cast(node: Node) -> Function:
    wanted = torch_type(node.attribute("to"))
    node.only("saturate", 1)
    node.only("round_mode", "up")
    return lambda x: x.to(wanted)


def torch_type(number: int) -> torch.dtype:
    """The torch type of ONNX's number for it."""
    name = str(helper.tensor_dtype_to_np_dtype(number))
    found: torch.dtype = getattr(torch, name)
    return found


def _softmax(function: Function) -> Rule:
    def make(node: Node) -> Function:
        axis = node.axis(-1)
        return lambda x: function(x, axis)

    return Rule(make=make)


def _reduced(function: Function) -> Rule:
    """`function(x, axes, keepdims)`."""

    def make(node: Node) -> Function:
        over, keeps = node.axes(), bool(node.attribute("keepdims", 1))
        if node.attribute("noop_with_empty_axes", 0) and not over:
            raise node.refused("noop_with_empty_axes")
        axes = tuple(over or range(len(node.shape)))
        return lambda x: function(x, axes, keeps)

    return Rule(make=make, tensors=1)


def _product(x: Tensor, axes: tuple[int, ...], keeps: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keeps)
    return x


def _norm(order: int) -> Function:
    return lambda x, axes, keeps: torch.linalg.vector_norm(x, order, axes, keeps)


def _place(function: Function) -> Rule:
    def make(node: Node) -> Function:
        node.only("select_last_index", 0)
        axis, keeps = node.axis(0), bool(node.attribute("keepdims", 1))
        return lambda x: function(x, axis, keeps)

    return Rule(make=make)


def _over_positions(function: Function) -> Rule:
    def make(node: Node) -> Function:
        axes = tuple(range(2, len(node.shape)))
        return lambda x: function(x, axes, True)

    return Rule(make=make)


def _gemm(node: Node) -> Function:
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    flips, turned = node.attribute("transA", 0), node.attribute("transB", 0)
    if turned and not flips and alpha == beta == 1 and len(node.shape_of(1)) == 2:
        vector = not node.given(2) or node.shape_of(2) == node.shape_of(1)[:1]
        if vector:
            return F.linear

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a, b = a.t() if flips else a, b.t() if turned else b
        if c is None:
            return torch.mul(a @ b, alpha)
        return torch.addmm(c, a, b, alpha=alpha, beta=beta)

    return run


def _einsum(node: Node) -> Function:
    equation = node.attribute("equation")
    return lambda *tensors: torch.einsum(equation, *tensors)


FUNCTIONS: dict[str, Function] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": F.hardswish,
    "Identity": _same,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": F.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
    "Add": torch.add,
    "And": torch.logical_and,
    "Div": _divide,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Where": torch.where,
}
RULES: dict[str, Rule] = {
    **{name: direct(function) for name, function in FUNCTIONS.items()},
    "ArgMax": _place(torch.argmax),
    "ArgMin": _place(torch.argmin),
    "Cast": Rule(make=_cast),
    "Celu": _with_alpha(F.celu, 1.0),
    "Clip": Rule(make=_clip, tensors=1),
    "Dropout": Rule(make=_dropout, tensors=1),
    "Einsum": Rule(make=_einsum),
    "Elu": _with_alpha(F.elu, 1.0),
    "Gelu": Rule(make=_gelu),
    "Gemm": Rule(make=_gemm),
    "GlobalAveragePool": _over_positions(torch.mean),
    "GlobalMaxPool": _over_positions(torch.amax),
    "HardSigmoid": Rule(make=_hard_sigmoid),
    "LeakyRelu": _with_alpha(F.leaky_relu, 0.01),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "PRelu": Rule(make=_prelu),
    "Pow": Rule(make=_power),
    "ReduceL1": _reduced(_norm(1)),
    "ReduceL2": _reduced(_norm(2)),
    "ReduceLogSumExp": _reduced(torch.logsumexp),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceProd": _reduced(_product),
    "ReduceSum": _reduced(torch.sum),
    "Selu": Rule(make=_selu),
    "Shrink": Rule(make=_shrink),
    "Softmax": _softmax(torch.softmax),
    "Sum": _folded(torch.add),
    "ThresholdedRelu": Rule(make=lambda node: _thresholded(node.attribute("alpha", 1.0))),
}


def _thresholded(alpha: float) -> Function:
    return lambda x: F.threshold(x, alpha, 0.0)

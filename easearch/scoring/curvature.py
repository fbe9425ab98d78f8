"""Activations with the curvature that automatic differentiation does not see.

At a place where the slope jumps, `sigma''` is a multiple of a delta function; the authors smooth
ReLU's by softplus with beta 3 [Liu2019, code]. Smoothed, it is good enough to find a direction and
useless as a value (docs/methods.md, 4): gains are taken at a finite step, where the term below
vanishes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from easearch.tracing.activation import FUNCTIONS, jumps

BETA = 3.0


def bent(name: str, z: Tensor) -> Tensor:
    """`sigma(z)`: exact in value and slope; its second derivative includes the smoothed jumps.

    `jump / 2 * delta(z0) * (z - z0)^2` with `z0 = z` held constant is zero, with zero slope, and
    curvature `jump * delta(z)`.
    """
    function = next(f for f in FUNCTIONS if f.name == name)
    value: Tensor = function.calls[0](z)
    if function.jumps and torch.is_grad_enabled() and z.requires_grad:
        fixed = z.detach()
        value = value + 0.5 * _smoothed(name, fixed) * (z - fixed).square()
    return value


def slopes(name: str, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`sigma`, `sigma'` and `sigma''` at z, the last with the smoothed jumps; tensors of their own.

    In closed form for what is common, else by automatic differentiation of `bent`.
    """
    if name in CLOSED:
        return CLOSED[name](z)
    with torch.enable_grad():
        at = z.detach().requires_grad_()
        value = bent(name, at)
        (first,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        second = torch.zeros_like(z)
        if first.requires_grad:
            (second,) = torch.autograd.grad(first.sum(), at)
    return value.detach(), first.detach(), second


def _silu(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # a = z s,  a' = s + a t,  a'' = t (a' + s - a s), with t = 1 - s
    s = torch.sigmoid(z)
    value = z * s
    t = 1 - s
    first = torch.addcmul(s, value, t)
    second = s.addcmul_(s, value, value=-1).add_(first).mul_(t)
    return value, first, second


def _relu(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.relu(z), (z > 0).to(z), _smoothed("relu", z)


def _relu6(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return z.clamp(0, 6), ((z > 0) & (z < 6)).to(z), _smoothed("relu6", z)


CLOSED: dict[str, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]] = {
    "silu": _silu,
    "relu": _relu,
    "relu6": _relu6,
}


def _smoothed(name: str, z: Tensor) -> Tensor:
    """The sum of `jump * delta(z - at)`, every delta a bump `BETA s (1 - s)`."""
    delta = torch.zeros_like(z)
    for at, jump in jumps(name):
        s = torch.sigmoid(BETA * (z - at))
        # s (1 - s) as s - s^2: two passes over the memory less
        delta.add_(s, alpha=jump * BETA).addcmul_(s, s, value=-jump * BETA)
    return delta

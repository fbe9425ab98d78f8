"""Activations with the curvature that automatic differentiation does not see.

At a place where the slope jumps, `sigma''` is a multiple of a delta function; the authors smooth
ReLU's by softplus with beta 3 [Liu2019, code]. Smoothed, it is good enough to find a direction and
useless as a value (docs/methods.md, 4): gains are taken at a finite step, where the term below
vanishes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from easearch.tracing.kinds.activation import evaluate, jumps_of

BETA = 3.0

SMOOTH = frozenset(("silu", "sigmoid", "tanh"))
"""Functions that torch differentiates twice, in forward mode too."""
Bends = Sequence[tuple[float, float | Tensor]]
"""(position, jump) of a slope; a jump of its own for every channel is a tensor."""
Options = Mapping[str, Any]
"""A layer's options: which activation, and its own numbers."""


def bent(options: Options, z: Tensor) -> Tensor:
    """`sigma(z)` with its slope, and its curvature including the smoothed jumps.

    Written as its Taylor polynomial at `z` held constant, which is the same up to the second
    derivative: not all of torch's functions can be differentiated twice. Those that can are taken
    as they are, which is cheaper.
    """
    if options["function"] in SMOOTH:
        return evaluate(options, z)
    fixed = z.detach()
    with torch.no_grad():
        value, first, second = slopes(options, fixed)
    moved = z - fixed
    return value + first * moved + 0.5 * second * moved.square()


def bend(value: Tensor, z: Tensor, at: Bends) -> Tensor:
    """`value = sigma(z)` as it is, with its slope, and the smoothed jumps as curvature.

    `jump / 2 * delta(z0) * (z - z0)^2` with `z0 = z` held constant is zero, with zero slope, and
    curvature `jump * delta(z)`.
    """
    fixed = z.detach()
    return value + 0.5 * _smoothed(at, fixed) * (z - fixed).square()


def slopes(options: Options, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`sigma`, `sigma'` and `sigma''` at z, the last with the smoothed jumps; tensors of their own.

    In closed form for what is common, else by automatic differentiation.
    """
    jumps = jumps_of(options)
    if options["function"] in CLOSED and (set(options) == {"function"} or _plain(options)):
        value, first, second = CLOSED[options["function"]](z)
    else:
        value, first, second = _differentiated(options, z)
    if not jumps:
        return value, first, torch.zeros_like(z) if second is None else second
    smooth = _smoothed(jumps, z)
    return value, first, smooth if second is None else smooth.add_(second)


def along(values: Tensor, x: Tensor, axis: int = 1) -> Tensor:
    """One number a channel, as it is spread over a value with its channels at `axis`."""
    if values.numel() == 1:
        return values.reshape(())
    sizes = [1] * x.dim()
    sizes[axis] = -1
    return values.reshape(sizes)


def _plain(options: Options) -> bool:
    """Whether the options are those that the closed forms are written for."""
    return options.get("approximate", "none") == "none" and set(options) <= {
        "function",
        "approximate",
    }


def _differentiated(options: Options, z: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """The second derivative is None where the slope is piecewise constant."""
    with torch.enable_grad():
        here = z.detach().requires_grad_()
        value = evaluate(options, here)
        (first,) = torch.autograd.grad(value.sum(), here, create_graph=True)
        if not first.requires_grad:
            return value.detach(), first.detach(), None
        (second,) = torch.autograd.grad(first.sum(), here, allow_unused=True)
    return value.detach(), first.detach(), second


def _silu(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # a = z s,  a' = s + a t,  a'' = t (a' + s - a s), with t = 1 - s
    s = torch.sigmoid(z)
    value = z * s
    t = 1 - s
    first = torch.addcmul(s, value, t)
    second = s.addcmul_(s, value, value=-1).add_(first).mul_(t)
    return value, first, second


def _sigmoid(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    s = torch.sigmoid(z)
    first = s * (1 - s)
    return s, first, first * (1 - 2 * s)


def _tanh(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    value = torch.tanh(z)
    first = 1 - value.square()
    return value, first, -2 * value * first


def _gelu(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # a = z Phi,  a' = Phi + z phi,  a'' = phi (2 - z^2)
    Phi = torch.special.ndtr(z)
    phi = torch.exp(-0.5 * z.square()).mul_((2 * math.pi) ** -0.5)
    return z * Phi, torch.addcmul(Phi, z, phi), phi * (2 - z.square())


def _relu(z: Tensor) -> tuple[Tensor, Tensor, None]:
    return torch.relu(z), (z > 0).to(z), None


def _relu6(z: Tensor) -> tuple[Tensor, Tensor, None]:
    return z.clamp(0, 6), ((z > 0) & (z < 6)).to(z), None


def _hardsigmoid(z: Tensor) -> tuple[Tensor, Tensor, None]:
    return (z / 6 + 0.5).clamp(0, 1), ((z > -3) & (z < 3)).to(z) / 6, None


def _hardswish(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    inside, above = ((z > -3) & (z < 3)).to(z), (z >= 3).to(z)
    gate = (z / 6 + 0.5).clamp(0, 1)
    return z * gate, inside * (z / 3 + 0.5) + above, inside / 3


CLOSED: dict[str, Callable[[Tensor], tuple[Tensor, Tensor, Tensor | None]]] = {
    "silu": _silu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "gelu": _gelu,
    "relu": _relu,
    "relu6": _relu6,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
}
"""None for `sigma''`: nothing but the jumps."""


def _smoothed(jumps: Bends, z: Tensor) -> Tensor:
    """The sum of `jump * delta(z - at)`, every delta a bump `BETA s (1 - s)`."""
    delta = torch.zeros_like(z)
    for at, jump in jumps:
        s = torch.sigmoid(BETA * (z - at))
        # s (1 - s) as s - s^2: two passes over the memory less
        if isinstance(jump, Tensor):
            delta.addcmul_(torch.addcmul(s, s, s, value=-1), jump, value=BETA)
        else:
            delta.add_(s, alpha=jump * BETA).addcmul_(s, s, value=-jump * BETA)
    return delta

"""Activations with the curvature that automatic differentiation does not see.

At a place where the slope jumps, `sigma''` is a multiple of a delta function; the authors smooth
ReLU's by softplus with beta 3 [Liu2019, code]. Smoothed, it is good enough to find a direction and
useless as a value (docs/methods.md, 4): gains are taken at a finite step, where the term below
vanishes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from easearch.tracing.activation import FUNCTIONS

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
        delta = torch.zeros_like(fixed)
        for at, jump in function.jumps:
            s = torch.sigmoid(BETA * (fixed - at))
            delta += jump * BETA * s * (1 - s)
        value = value + 0.5 * delta * (z - fixed).square()
    return value

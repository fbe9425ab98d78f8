"""Derivatives of activations: closed forms against automatic differentiation; jumps as bumps."""

from __future__ import annotations

import pytest
import torch

from easearch.scoring.units.curvature import BETA, CLOSED, bend, bent, slopes
from easearch.tracing.kinds.activation import evaluate, jumps_of
from easearch.tracing.kinds.function_table import BY_NAME


def options(name: str) -> dict[str, object]:
    bounds = {"min": -1.5, "max": 2.0} if name == "clamp" else {}
    return {"function": name, **BY_NAME[name].defaults, **bounds}


def points(name: str) -> torch.Tensor:
    """Where the function is smooth: a little beside every jump."""
    z = torch.linspace(-7, 7, 401, dtype=torch.float64) + 0.01
    for at, _ in jumps_of(options(name)):
        z = z[(z - at).abs() > 0.02]
    return z


def differences(name: str, z: torch.Tensor, h: float) -> tuple[torch.Tensor, torch.Tensor]:
    a, b, c = (evaluate(options(name), z + d) for d in (-h, 0.0, h))
    return (c - a) / (2 * h), (a + c - 2 * b) / h**2


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_are_the_derivatives(name: str) -> None:
    z = points(name)
    value, first, second = slopes(options(name), z)
    bumps = sum(
        (
            jump * BETA * torch.sigmoid(BETA * (z - at)) * torch.sigmoid(-BETA * (z - at))
            for at, jump in jumps_of(options(name))
        ),
        torch.zeros_like(z),
    )
    one, two = differences(name, z, 1e-4)
    assert torch.allclose(value, evaluate(options(name), z), rtol=1e-12, atol=1e-14)
    assert torch.allclose(first, one, atol=1e-7)
    assert torch.allclose(second - bumps, two, atol=1e-6)


@pytest.mark.parametrize("name", BY_NAME)
def test_bent_has_these_derivatives(name: str) -> None:
    """Also of functions that torch cannot differentiate twice."""
    z = points(name)
    z = z[torch.isfinite(evaluate(options(name), z))]
    leaf = z.clone().requires_grad_()
    value = bent(options(name), leaf)
    (first,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), leaf)
    for got, expected in zip((value, first, second), slopes(options(name), z), strict=True):
        assert torch.allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_a_jump_of_its_own_for_every_channel() -> None:
    z = torch.randn(4, 3, 5, dtype=torch.float64)
    jumps = torch.tensor([0.5, 0.0, -2.0], dtype=torch.float64)
    leaf = z.clone().requires_grad_()
    value = bend(leaf * 1.0, leaf, ((0.0, jumps.view(1, 3, 1)),))
    (first,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), leaf)
    s = torch.sigmoid(BETA * z)
    assert torch.allclose(first, torch.ones_like(z))
    assert torch.allclose(second, jumps.view(1, 3, 1) * BETA * s * (1 - s))

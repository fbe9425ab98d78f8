"""Element-wise functions: what they compute, and where their slope jumps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from spellings import LAYERS
from torch import nn

import easearch as ea
from easearch.tracing.kinds.activation import FUNCTIONS, evaluate, jumps_of

CASES = [case for case in LAYERS if case.startswith("activation")]
STEP = 1e-6


def options(case: str) -> dict[str, Any]:
    model = nn.Sequential(LAYERS[case][1][0]())
    graph = ea.trace(model, torch.ones(1, 6, 8, 7))
    (layer,) = [one for one in graph.layers if one.kind == "activation"]
    return dict(layer.options)


@pytest.mark.parametrize("case", CASES)
def test_the_options_evaluate_to_what_the_module_computes(case: str) -> None:
    found = options(case)
    z = torch.linspace(0.05, 7, 101, dtype=torch.float64)
    z = z if case.split()[-1] in ("log", "sqrt", "rsqrt", "log1p") else torch.cat([-z, z])
    module = LAYERS[case][1][0]()
    expected = module(z.clone().view(1, 1, -1))
    assert torch.equal(evaluate(found, z).view_as(expected), expected)


@pytest.mark.parametrize("case", CASES)
def test_slopes_jump_there_and_nowhere_else(case: str) -> None:
    """The slope from both sides, at every listed place and at a grid of others."""
    found = options(case)
    if found["function"] == "threshold":
        pytest.skip("its value jumps as well")
    listed = dict(jumps_of(found))
    positive = case.split()[-1] in ("log", "sqrt", "rsqrt", "log1p")
    grid = torch.linspace(0.1 if positive else -7, 7, 281, dtype=torch.float64)
    for at in {*grid.round(decimals=3).tolist(), *listed}:
        sides = torch.tensor([at - STEP, at, at + STEP], dtype=torch.float64)
        if found["function"] == "softplus" and at * found["beta"] == found["threshold"]:
            continue  # where torch goes over to the line, a step of 2e-9 to 2e-5 in the value
        low, mid, high = evaluate(found, sides)
        jump = float((high - mid) / STEP - (mid - low) / STEP)
        assert jump == pytest.approx(listed.get(at, 0.0), abs=2e-3 * max(1, abs(float(mid))))


def test_parameters_move_the_jumps() -> None:
    assert jumps_of({"function": "relu"}) == ((0.0, 1.0),)
    assert jumps_of({"function": "leaky_relu", "negative_slope": 0.25}) == ((0.0, 0.75),)
    assert jumps_of({"function": "clamp", "min": None, "max": 2.0}) == ((2.0, -1.0),)
    assert jumps_of({"function": "elu", "alpha": 1.0}) == ()


def test_a_function_says_how_it_is_called_alone() -> None:
    z = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).abs()
    for function in FUNCTIONS:
        if function.module is not None and function.name not in ("clamp", "threshold"):
            assert torch.equal(function.calls[0](z), function.module()(z))
    assert torch.equal(evaluate({"function": "relu"}, z - 1), F.relu(z - 1))

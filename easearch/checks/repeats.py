"""Whether a model computes the same each time: values of any structure side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from easearch.checks.batches import outputs_of
from easearch.errors import ScoringError
from easearch.structures import tensors


def check_repeats(model: nn.Module, inputs: Any, outputs: Any) -> None:
    """Refuse a model that gives other outputs the second time.

    Raises:
        ScoringError: what it gives for the inputs are not the outputs that it gave before.
    """
    with torch.no_grad():
        again = outputs_of(model, inputs)
    if not alike(outputs, again):
        raise ScoringError(
            "expected a model that computes the same each time, got other outputs for the same "
            f"inputs; switch off what is random in {type(model).__name__}'s evaluation mode"
        )


def alike(one: Any, other: Any) -> bool:
    """Whether two values of any structure hold the same tensors, but for rounding."""
    pairs = list(tensors(one)), list(tensors(other))
    return len(pairs[0]) == len(pairs[1]) and all(map(_close, *pairs))


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    one, other = one.detach(), other.detach()
    size = one.abs().nan_to_num(0.0, 0.0, 0.0).max() if one.numel() else one.sum()
    bar = torch.finfo(one.dtype).eps ** 0.5
    return torch.allclose(one, other, rtol=bar, atol=bar * float(size), equal_nan=True)

"""A loss, as every verb takes it: `loss(outputs, targets)`, the mean over the samples, a scalar."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easearch.checks.batches import cut, formed, outputs_of, part_of, samples_in, told
from easearch.checks.repeats import check_repeats
from easearch.errors import EasearchError, ScoringError, reason_of
from easearch.roles import Loss
from easearch.structures import tensors

MEAN = "expected the loss to be the mean over the batch, a scalar"
FEW = 64
"""Samples of the first batch that the door looks at."""


def loss_at(loss: Loss, outputs: Any, targets: Any) -> Tensor:
    """The loss of a batch.

    Raises:
        ScoringError: it cannot be computed, or is no scalar tensor of floating type.
    """
    check_labels(loss, outputs, targets)
    try:
        found: Any = loss(outputs, targets)
    except (EasearchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ScoringError(
            f"the loss does not take outputs of {formed(outputs)} with targets of "
            f"{formed(targets)}: {reason_of(error)}; check the targets, or pass loss="
        ) from error
    if not isinstance(found, Tensor):
        raise ScoringError(
            f"{MEAN}, got {told(found)}; return a tensor computed from the outputs, without "
            ".item() or float()"
        )
    if found.dim() != 0:
        raise ScoringError(f"{MEAN}, got a tensor of shape {tuple(found.shape)}; return its mean()")
    if not found.is_floating_point():
        raise ScoringError(f"{MEAN} of floating type, got one of {found.dtype}; return a mean")
    return found


def finite(mean: Tensor, advice: str) -> float:
    """The loss of a batch as a number; `advice` is what to do where it is not finite.

    Raises:
        ScoringError: it is not finite.
    """
    value = float(mean.detach())
    if not math.isfinite(value):
        raise ScoringError(f"the loss of a batch is {value}: {advice}")
    return value


def check_labels(loss: Loss, outputs: Any, targets: Any) -> None:
    """Refuse class numbers that the outputs have no score for, where the loss is cross-entropy: on
    an accelerator the error would come later and be fatal.

    Raises:
        ScoringError: with the largest or smallest label.
    """
    entropy = isinstance(loss, nn.CrossEntropyLoss)
    if not (entropy or loss is F.cross_entropy):
        return
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.dim() < 2:
        return
    if targets.dtype != torch.long or targets.shape != (outputs.shape[0], *outputs.shape[2:]):
        return
    ignored = loss.ignore_index if isinstance(loss, nn.CrossEntropyLoss) else -100
    known = targets[targets != ignored]
    classes = outputs.shape[1]
    if len(known) and not 0 <= int(known.min()) <= int(known.max()) < classes:
        wrong = int(known.min()) if int(known.min()) < 0 else int(known.max())
        raise ScoringError(
            f"expected labels from 0 to {classes - 1}, as the model has {classes} outputs, got "
            f"{wrong}; check the targets, or the width of the last layer"
        )


def check_loss(model: nn.Module, inputs: Any, targets: Any, loss: Loss) -> None:
    """Run the model, in its present mode, on a few samples of a batch, and look at the loss.

    Raises:
        ScoringError: the model does not run; the loss is no mean, not finite, or has no gradient.
    """
    if not callable(loss):
        raise ScoringError(
            f"expected a loss, loss(outputs, targets), got {told(loss)}; pass a function"
        )
    inputs, targets = part_of(inputs, targets, slice(0, FEW))
    samples = samples_in(inputs, targets)
    with torch.enable_grad():
        outputs = outputs_of(model, inputs)
        if not any(t.is_floating_point() for t in tensors(outputs)):
            raise ScoringError(
                f"expected the model to give tensors of floating type, got {formed(outputs)}"
            )
        mean = loss_at(loss, outputs, targets)
        value = finite(mean, "check the inputs and the weights, or train with a lower rate first")
        check_repeats(model, inputs, outputs)
    trained = any(p.requires_grad for p in model.parameters())
    if trained and not any(t.requires_grad for t in tensors(outputs)):
        raise ScoringError(
            "expected outputs that depend on the model's parameters, got some without a gradient; "
            "take no_grad or detach out of its forward pass"
        )
    if trained and not mean.requires_grad:
        raise ScoringError(
            "expected a loss that depends on the outputs, got a constant without a gradient; "
            "compute it from the outputs, without detach() or item()"
        )
    _check_mean(loss, outputs, targets, samples, value)


def _check_mean(loss: Loss, outputs: Any, targets: Any, samples: int, whole: float) -> None:
    """Refuse a sum over the samples: gains would be as many times too large."""
    if samples < 2:
        return
    half = samples // 2
    parts = [slice(0, half), slice(half, samples)]
    try:
        with torch.no_grad():
            one, other = (
                float(loss(cut(outputs, rows, samples), cut(targets, rows, samples)))
                for rows in parts
            )
    except Exception:
        return  # it looks at the batch as a whole
    summed = one + other
    mean = (half * one + (samples - half) * other) / samples
    near = 1e-3 * max(abs(whole), abs(summed))
    if abs(whole - summed) <= near < abs(whole - mean) and abs(whole - mean) > 0.1 * abs(whole):
        raise ScoringError(
            f"{MEAN}, got a sum over its samples; pass a loss with reduction='mean', or divide by "
            "the number of samples"
        )

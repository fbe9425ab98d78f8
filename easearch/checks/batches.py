"""Batches, as every verb takes them: how many samples, some of them, and what a model makes of one.

A batch is (inputs, targets), both of any structure (structures.py). Samples are along the first
axis of tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from easearch.errors import EasearchError, ScoringError, reason_of
from easearch.structures import arguments, call, mapped, tensors

PAIR = "(inputs, targets)"


def checked(batches: Any, number: int = 2) -> list[tuple[Any, Any]]:
    """The first batches, at most so many.

    Raises:
        ScoringError: no batches, batches that can be iterated only once, or no pairs.
    """
    if isinstance(batches, Tensor | str | Mapping) or not isinstance(batches, Iterable):
        raise ScoringError(
            f"expected batches, a list or a DataLoader of {PAIR}, got {told(batches)}; pass "
            "[(inputs, targets)] for a single batch"
        )
    if iter(batches) is batches:
        raise ScoringError(
            "expected batches that can be iterated more than once (a list, a DataLoader), "
            "got an iterator; pass list(batches)"
        )
    if isinstance(batches, tuple) and batches and isinstance(batches[0], Tensor):
        raise ScoringError(
            f"expected batches, a list or a DataLoader of {PAIR}, got one batch; pass "
            "[(inputs, targets)]"
        )
    first = list(islice(batches, number))
    if not first:
        raise ScoringError("expected at least one batch to score on, got none")
    for batch in first:
        check_pair(batch)
    return first


def check_pair(batch: Any) -> None:
    """Refuse what is not (inputs, targets) with at least one sample.

    Raises:
        ScoringError: with what came.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        got = f"{len(batch)} of them" if isinstance(batch, tuple | list) else told(batch)
        raise ScoringError(
            f"expected every batch to be {PAIR}, got {got}; put several inputs into a tuple or a "
            "mapping of their own"
        )
    if samples_in(*batch) == 0:
        raise ScoringError("expected at least one sample in every batch, got an empty batch")


def samples_in(inputs: Any, targets: Any) -> int:
    """How many samples a batch has: the length of its targets, else of its inputs.

    Raises:
        ScoringError: neither holds a tensor with samples along its first axis.
    """
    for tensor in (*tensors(targets), *tensors(inputs)):
        if tensor.dim():
            return len(tensor)
    raise ScoringError(
        f"expected batches of {PAIR} with samples along the first axis of their tensors, "
        f"got a {type(inputs).__name__} and a {type(targets).__name__}"
    )


def part_of(inputs: Any, targets: Any, rows: slice) -> tuple[Any, Any]:
    """Some of a batch's samples; what has no sample axis stays whole."""
    samples = samples_in(inputs, targets)
    return cut(inputs, rows, samples), cut(targets, rows, samples)


def cut(value: Any, rows: slice, samples: int) -> Any:
    """Some of the samples of a structure that has so many."""
    return mapped(lambda t: t[rows] if t.dim() and len(t) == samples else t, value)


def outputs_of(model: nn.Module, inputs: Any, held: Mapping[str, Tensor] | None = None) -> Any:
    """What a model gives for a batch's inputs, with these tensors in place of its own.

    Raises:
        ScoringError: it does not run on them.
    """
    try:
        if held is not None:
            return functional_call(model, dict(held), *arguments(mapped(torch.clone, inputs)))
        return call(model, inputs)
    except (EasearchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        wrong = _unlike(model, inputs)
        raise ScoringError(
            f"the model does not run on a batch of {formed(inputs)}: {wrong or reason_of(error)}; "
            "pass inputs like the sample that it was traced with"
        ) from error


def _unlike(model: nn.Module, inputs: Any) -> str:
    """Where inputs are of another type, or elsewhere, than the model: a phrase; else nothing."""
    args, named = arguments(inputs)
    try:
        inspect.signature(model.forward).bind(*args, **named)
    except (TypeError, ValueError):
        takes = ", ".join(inspect.signature(model.forward).parameters)
        given = ", ".join(map(str, named)) or f"{len(args)} inputs"
        return f"it takes ({takes}), and got {given}"
    own = next((p for p in model.parameters() if p.is_floating_point()), None)
    for tensor in tensors(inputs) if own is not None else ():
        assert own is not None
        if tensor.device != own.device:
            return f"they are on {tensor.device}, the model is on {own.device}"
        if tensor.is_floating_point() and tensor.dtype != own.dtype:
            return f"they are {_type(tensor)}, the model is {_type(own)}"
    return ""


def formed(value: Any) -> str:
    """The shapes and types of a value's tensors, for a sentence: `(8, 3, 32, 32) float32`."""
    found = [f"{tuple(t.shape)} {_type(t)}" for t in islice(tensors(value), 4)]
    return ", ".join(found[:3]) + (", ..." if len(found) > 3 else "") or told(value)


def told(value: Any) -> str:
    """What a value is, for a sentence."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"a {type(value).__name__}"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")

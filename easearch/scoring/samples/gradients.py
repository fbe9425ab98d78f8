"""Gradients that scoring takes: what torch cannot differentiate is refused in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from easearch.errors import ScoringError, reason_of


def gradients(
    outputs: Tensor | Sequence[Tensor],
    at: Sequence[Tensor],
    along: Sequence[Tensor] | None = None,
    *,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Of the outputs, times `along`, at every tensor; zeros where nothing depends on it.

    Raises:
        ScoringError: an operator has no gradient.
    """
    if not at:
        return ()
    try:
        return torch.autograd.grad(
            outputs,
            list(at),
            None if along is None else list(along),
            materialize_grads=True,
            allow_unused=True,
            create_graph=create_graph,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise ScoringError(
            f"expected every layer to have a gradient, got one that has none: {reason_of(error)}; "
            "write it with operators that torch can differentiate, or score with 'random'"
        ) from error

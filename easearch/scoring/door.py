"""What a scoring is given, looked at before anything is spent: model, graph, batches and loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from easearch.checks.batches import checked
from easearch.checks.losses import check_loss
from easearch.checks.objects import check_finite, check_own
from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.roles import Batches, Loss
from easearch.scoring.samples import shards
from easearch.scoring.scores import scoring_state
from easearch.tracing.trainable import untrained
from easearch.tracing.untouched import untouched


def check_scoring(model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> None:
    """Refuse what nothing can be scored with, on all ranks if on one.

    Raises:
        ScoringError: with what was expected, what came and what to do.
    """
    check_own(model, graph, values=True, kind=ScoringError)
    _check_trained(model, graph)

    def looked() -> list[Tensor]:
        inputs, targets = checked(batches)[0]
        with torch.inference_mode(False), untouched(model), scoring_state(model):
            check_loss(model, inputs, targets, loss)
        check_finite(model, kind=ScoringError)
        return []

    shards.together(looked, _device(model))


def _check_trained(model: nn.Module, graph: Graph) -> None:
    parameters = list(model.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        raise ScoringError(
            "nothing can grow: all parameters of the model have requires_grad=False; call "
            "model.requires_grad_(True) and trace it again"
        )
    for name, parameter in model.named_parameters():
        if parameter.is_inference():
            raise ScoringError(
                f"expected a model that can be trained, got '{name}', made in inference mode; "
                "make the model outside of torch.inference_mode()"
            )
    reasons = untrained(model, graph)
    for group in graph.growable:
        if group.name in reasons:
            raise ScoringError(
                f"expected a graph of the model as it is, got one in which '{group.name}' grows, "
                f"but {reasons[group.name]}; trace the model again"
            )


def _device(model: Any) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))

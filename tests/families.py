"""A tiny network for every family that easearch must trace and grow, for laws in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from families_plain import CLASSES, PLAIN
from families_points import POINTWISE
from families_torchvision import TORCHVISION
from families_tricky import TRICKY
from torch import Tensor, nn


@dataclass(frozen=True)
class Family:
    """How to build one, and the shape of one input without the batch."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int = CLASSES


FAMILIES: dict[str, Family] = {
    name: Family(build, shape)
    for part in (TORCHVISION, PLAIN, TRICKY, POINTWISE)
    for name, (build, shape) in part.items()
}

UNTRACEABLE = frozenset({"needs_export"})
"""What `torch.fx` cannot follow and `torch.export` can."""


def inputs(family: Family, batch: int = 4, seed: int = 0) -> Tensor:
    """Normal noise in float64 from a generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *family.shape, generator=generator, dtype=torch.float64)


def settled(family: Family, seed: int = 0) -> nn.Module:
    """One in float64 and eval mode, as if trained a little.

    Parameters that are born constant get noise, since equal channels hide a mix-up; norms hold the
    statistics of `inputs`, since with those of birth the signal dies on the way to the head.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = family.build().double().train()
        for parameter in model.parameters():
            if parameter.numel() > 1 and (parameter == parameter.flatten()[0]).all():
                parameter += 0.1 * torch.randn_like(parameter)
        momenta = {m: m.momentum for m in model.modules() if hasattr(m, "momentum")}
        for norm in momenta:
            norm.momentum = 0.2
        for step in range(20):
            model(inputs(family, batch=16, seed=seed + step))
        for norm, momentum in momenta.items():
            norm.momentum = momentum
    return model.eval()

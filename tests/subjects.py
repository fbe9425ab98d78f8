"""Every network over which a law on growing is checked, by one name each: built and traced once."""

from __future__ import annotations

from functools import cache

from families import FAMILIES, inputs, settled
from networks import NETWORKS, sample, trained
from torch import Tensor, nn

import easearch as ea

SUBJECTS = (*NETWORKS, *(f"family {name}" for name in FAMILIES))
MASKS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)

MASKED = ("family dropouts",)
"""Networks whose forward pass draws masks over channels itself: in training mode another width
draws others.
"""


@cache
def subject(name: str) -> tuple[nn.Module, Tensor, ea.Graph]:
    """In float64 and evaluation mode, an input, and the graph. Shared: not to be changed."""
    if name in NETWORKS:
        model, x = trained(name), sample(8)
    else:
        family = FAMILIES[name.removeprefix("family ")]
        model, x = settled(family), inputs(family)
    return model, x, ea.trace(model, x)


def in_mode(model: nn.Module, training: bool) -> nn.Module:
    """The model in that mode; what silences single channels at random stays in evaluation mode,
    since other widths draw other masks.
    """
    for module in model.modules():
        module.training = training and not isinstance(module, MASKS)
    return model

"""A network of the seed's structure with fresh weights, at any widths."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from easearch.comparing.arms.arm import Setting
from easearch.growth.surgery import resize
from easearch.models import initialise


def fresh(contest: Setting, widths: Mapping[str, int]) -> nn.Module:
    """The seed's network at these widths, its weights drawn from torch's default generator, on the
    training device.

    A seed of easearch's own is drawn as it always is. Of a user's factory nothing but its modules
    is known: each draws by its own `reset_parameters`, as torch's constructors do.

    Raises:
        GraphError: a group that the seed does not have.
    """
    ready = contest.ready
    model = resize(ready.state.model, contest.graph, widths)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            with torch.no_grad():
                reset()
    if ready.seed.factory is None:
        initialise(model)
    model.to(ready.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model

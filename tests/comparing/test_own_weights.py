"""What arms do with the weights that a user's network comes with."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from contests import contest

from easearch.comparing.arms.grow import GROW
from easearch.comparing.arms.seed import SEED
from easearch.comparing.arms.uniform import UNIFORM

NETWORK = """
import torch
from torch import nn

def trained():
    made = nn.Sequential(
        nn.Conv2d(1, 8, 3, 4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            values = torch.linspace(-1, 1, parameter.numel()) * 0.1 * (1 + number)
            parameter.copy_(values.view_as(parameter))
    return made
"""


@pytest.mark.parametrize("arm", [GROW, SEED, UNIFORM], ids=["grow", "seed", "uniform"])
def test_an_arm_that_goes_on_begins_with_them(
    arm: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a rate that moves nothing, what is delivered is what it began with: the seed's weights
    where they are kept, random ones elsewhere; what grew is beside them.
    """
    (tmp_path / "network_with_weights.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = importlib.import_module("network_with_weights").trained()
    how = {"epochs": 2, "batch_size": 50, "rate": 1e-12}
    with contest(tmp_path, model={"name": "network_with_weights:trained"}, training=how) as setting:
        found = arm.run(setting).model  # type: ignore[attr-defined]
    del sys.modules["network_with_weights"]
    for name in ("0.weight", "6.bias"):
        kept, first = found.state_dict()[name], own.state_dict()[name]
        alike = torch.allclose(kept[: len(first)].cpu(), first, atol=1e-6)
        assert alike == arm.goes_on, name  # type: ignore[attr-defined]

"""Checkpoints of networks that are not easearch's own seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import SIZE, Plain, sample
from torch import Tensor, nn

import easearch as ea
from easearch.errors import FileFormatError
from easearch.growth.checkpoint import Architecture


class Shared(nn.Module):
    """Two layers over one weight, as encoders and decoders have them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.relu(self.one(x)))


def test_layers_that_share_a_weight_share_it_again(tmp_path: Path) -> None:
    model = Shared()
    ea.save(model, Architecture(factory="shared", input=(4,)), tmp_path)
    loaded = ea.load(tmp_path, factory=Shared)
    x = torch.randn(3, 4)
    assert torch.equal(loaded(x), model(x))
    assert loaded.one.weight is loaded.two.weight


def test_a_network_of_ones_own_needs_its_factory(tmp_path: Path) -> None:
    model = Plain().eval()
    ea.save(model, Architecture(factory="plain", input=(1, SIZE, SIZE)), tmp_path)
    with pytest.raises(FileFormatError, match="'plain'"):
        ea.load(tmp_path)
    x = sample().float()
    assert torch.equal(ea.load(tmp_path, factory=Plain)(x), model(x))
    with pytest.raises(FileFormatError, match="does not describe a network"):
        ea.load(tmp_path, factory=lambda: nn.Linear(3, 3))


def test_a_saved_network_is_a_copy(tmp_path: Path) -> None:
    model = Plain().eval()
    architecture = Architecture(factory="plain", input=(1, SIZE, SIZE))
    expected = model(sample().float())
    ea.save(model, architecture, tmp_path)
    with torch.no_grad():
        model.head.weight.zero_()
    loaded = ea.load(tmp_path, factory=Plain)
    assert torch.equal(loaded(sample().float()), expected)

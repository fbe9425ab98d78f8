"""Wrapped networks: every public verb refuses them with a sentence that says what to give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import easearch as ea
from easearch.errors import EasearchError


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ).eval()


class Holding(nn.Module):
    """A network with a wrapped part."""

    def __init__(self) -> None:
        super().__init__()
        self.part, self.head = torch.compile(nn.Conv2d(3, 4, 3)), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.part(x)).mean((2, 3))


WRAPPED: dict[str, tuple[Callable[[], Any], str]] = {
    "DataParallel": (lambda: nn.DataParallel(plain()), "give model.module"),
    "AveragedModel": (lambda: AveragedModel(plain()), "give model.module"),
    "compiled": (lambda: torch.compile(plain()), "give model._orig_mod"),
    "a compiled part": (Holding, "give model.part._orig_mod"),
    "scripted": (lambda: torch.jit.trace(plain(), torch.zeros(1, 3, 6, 6)), "made from"),
    "lazy": (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "run the model once"),
    "a function": (lambda: torch.relu, "nn.Module"),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_every_verb_refuses_in_one_sentence(case: str, tmp_path: Path) -> None:
    make, told = WRAPPED[case]
    model, x = make(), torch.randn(2, 3, 6, 6)
    graph = ea.trace(plain(), x)
    verbs: list[Callable[[], object]] = [
        lambda: ea.trace(model, x),
        lambda: ea.score(model, graph, [(x, torch.tensor([0, 1]))]),
        lambda: ea.apply(model, graph, [ea.Split(group="0", channel=0)]),
        lambda: ea.save(model, tmp_path / "net", sample=x),
        lambda: ea.export(model, x, tmp_path / "net.onnx"),
    ]
    for verb in verbs:
        with pytest.raises(EasearchError) as caught:
            verb()
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())

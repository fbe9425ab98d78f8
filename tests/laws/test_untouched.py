"""untouched: scoring, measuring, searching and exporting leave the model bit-identical."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from networks import NETWORKS, batches, sample, trained
from torch import nn

import easearch as ea
from easearch.scoring import CRITERIA


def witness(model: nn.Module) -> Callable[[], None]:
    """Remember everything that could change; the function returned checks that nothing did."""
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    last = list(model.modules())[-1]
    last.training = not last.training
    modes = [module.training for module in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    places = [p.data_ptr() for p in model.parameters()]
    random = torch.get_rng_state()

    def check() -> None:
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
        now = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(torch.equal(a, b) for a, b in zip(gradients, now, strict=True))
        assert [p.data_ptr() for p in model.parameters()] == places
        assert torch.equal(random, torch.get_rng_state())

    return check


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_scoring(name: str, criterion: str) -> None:
    model = trained(name)
    graph = ea.trace(model, sample())
    check = witness(model)
    found = ea.score(model, graph, batches(), criterion)
    check()
    assert [c.gain for c in found] == sorted((c.gain for c in found), reverse=True)
    assert {c.move.group for c in found} <= {g.name for g in graph.growable}
    again = ea.score(model, graph, batches(), criterion)
    assert [(c.gain, c.move.channels) for c in again] == [(c.gain, c.move.channels) for c in found]


def test_exporting(tmp_path: Path) -> None:
    model = trained("mobilenet_v2").float()
    check = witness(model)
    ea.export(model, sample().float(), tmp_path / "model.onnx")
    check()


def test_measuring() -> None:
    model = trained("mobilenet_v2").float()
    graph = ea.trace(model, sample().float())
    check = witness(model)
    ea.measure(graph, meters=["macs", "params", "memory"])
    check()

"""What is captured does not depend on whether norms are folded."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, batches, sample, trained
from torch import nn

import easearch as ea
from easearch.scoring.samples import capture
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.folding import folds
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.unit import Unit


def edges_of(model: nn.Module) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    graph = ea.trace(model, sample())
    units = [Unit(model, graph, group) for group in graph.growable]
    return {e for u in units for e in u.entrances}, {e for u in units for e in u.exits}


@pytest.mark.parametrize("name", NETWORKS)
def test_captures_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(name)
    values, gradients = edges_of(model)
    x, y = batches(1, 4)[0]
    folded = Capturer(model, values, gradients).capture(x, y, F.cross_entropy)
    monkeypatch.setattr(capture, "folds", lambda *_: {})
    plain = Capturer(model, values, gradients).capture(x, y, F.cross_entropy)
    assert folded.loss == pytest.approx(plain.loss, rel=1e-12)
    assert set(folded.values) == set(plain.values)
    assert set(folded.gradients) == set(plain.gradients)
    for edge, value in plain.values.items():
        assert torch.allclose(folded.values[edge], value, rtol=1e-9, atol=1e-12)
    for edge, gradient in plain.gradients.items():
        assert torch.allclose(folded.gradients[edge], gradient, rtol=1e-8, atol=1e-12)


def test_every_norm_behind_a_convolution_is_folded() -> None:
    wires = TracedProgram(trained("mobilenet_v1"))
    norms = [m for m in wires.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(folds(wires, ())) == len(norms)


def test_where_somebody_looks_nothing_is_folded() -> None:
    """At a value between the two, by an edge or a hook; a norm that trains has no fixed scale."""
    model = trained("mobilenet_v1")
    x, y = batches(1, 4)[0]
    between = ("stem.conv", "stem.norm")
    wires = TracedProgram(model)
    assert between[0] in wires.nodes, sorted(wires.nodes)
    number = len(folds(wires, ()))
    assert len(folds(wires, {between})) == number - 1
    assert len(folds(wires, {("stem.conv", "")})) == number - 1
    expected = model.get_submodule("stem.conv")(x)
    found = Capturer(model, {between}, {between}).capture(x, y, F.cross_entropy)
    assert torch.allclose(found.values[between], expected)
    seen = []
    handle = model.get_submodule("stem.conv").register_forward_hook(lambda *_: seen.append(1))
    Capturer(model, (), {between}).capture(x, y, F.cross_entropy)
    assert seen
    handle.remove()
    model.train()
    means = [b.clone() for b in model.buffers()]
    Capturer(model, (), ()).capture(x, y, F.cross_entropy)
    assert any(not torch.equal(a, b) for a, b in zip(means, model.buffers(), strict=True))

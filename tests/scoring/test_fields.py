"""The engine's products against automatic differentiation, on every network, group and scope."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, batches, sample, trained

import easearch as ea
from easearch.scoring import fields as fields_module
from easearch.scoring.capture import Captured, Capturer
from easearch.scoring.fields import Engine, engine
from easearch.scoring.unit import Unit


def units(name: str, scope: str) -> tuple[list[Unit], list[Captured]]:
    """Every group's unit, and two batches captured for them."""
    model = trained(name)
    graph = ea.trace(model, sample())
    found = [Unit(model, graph, g, scope) for g in graph.growable if g.readers]
    found = [unit for unit in found if unit.slots]
    values = {edge for unit in found for edge in unit.entrances}
    exits = {edge for unit in found for edge in unit.exits}
    capturer = Capturer(model, values, exits)
    return found, [capturer.capture(x, y, F.cross_entropy) for x, y in batches(2, 6)]


def engine_of(unit: Unit) -> Engine:
    found = engine(unit)
    assert found is not None
    return found


def drawn(unit: Unit, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(unit.theta.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [2**21, 2**14])
@pytest.mark.parametrize("scope", ["unit", "layer"])
@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_automatic_differentiation(
    name: str, scope: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields_module, "CHUNK", chunk)
    found, captures = units(name, scope)
    assert found
    for unit in found:
        fast = engine_of(unit)
        for captured in captures:
            fields = fast.fields(captured)
            for seed in (0, 1):
                v = drawn(unit, seed)
                expected = unit.product(v, captured)
                product = fast.product(v)
                product.add(fields)
                error = (product.total() - expected).abs().max()
                assert error <= 1e-8 * expected.abs().max() + 1e-14, unit.group.name

"""Channels whose vector is zero are left out of a product, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs, settled
from networks import NETWORKS, batches, sample, trained

import easearch as ea
from easearch.scoring.samples.capture import Captured, Capturer
from easearch.scoring.samples.passes import Batch, Part, Passes
from easearch.scoring.samples.store import Room
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import scoring_state
from easearch.scoring.units.unit import Unit


def times(part: Part, v: torch.Tensor, batches: list[Batch]) -> torch.Tensor:
    product = part.product(v)
    for batch in batches:
        batch.multiply(part, product)
    return product.total()


def masks(width: int) -> list[torch.Tensor]:
    """All channels, ever fewer, one, and all again."""
    order = torch.randperm(width, generator=torch.Generator().manual_seed(3))
    sizes = (width, (width + 1) // 2, max(1, width // 4), 1, width)
    return [torch.zeros(width, dtype=torch.bool).index_fill(0, order[:n], True) for n in sizes]


def check(part: Part, captures: list[Captured], memory: float) -> set[int]:
    """Products with ever fewer channels are the rows of automatic differentiation's; how many
    channels were worked on.
    """
    room = Room(memory)
    held = [Batch(captured, room) for captured in captures]
    drawn = torch.randn(part.unit.theta.shape, dtype=torch.float64)
    here = part.unit.phi_at(part.unit.theta, captures[0])
    sizes = set()
    for mask in masks(part.unit.width):
        v = torch.where(mask[:, None], drawn, 0.0)
        expected = sum(part.unit.product(v, captured) for captured in captures)
        found = times(part, v, held)
        assert not found[~mask].any() or not expected[~mask].abs().max() > 1e-12
        error = (found - expected).abs().max()
        assert error <= 1e-8 * expected.abs().max() + 1e-12, part.unit.group.name
        if part.engine is not None:
            sizes.add(len(part.product(v).engine.channels))
    assert torch.allclose(held[0].here(part), here, rtol=1e-9, atol=1e-12)
    return sizes


@pytest.mark.parametrize("memory", [0.0, 1e12])
@pytest.mark.parametrize("scope", ["unit", "rows", "layer"])
@pytest.mark.parametrize("name", NETWORKS)
def test_products_of_some_channels(name: str, scope: str, memory: float) -> None:
    model = trained(name)
    graph = ea.trace(model, sample())
    units = [Unit(model, graph, group, scope) for group in graph.growable if group.readers]
    units = [unit for unit in units if unit.slots]
    values = {edge for unit in units for edge in unit.entrances}
    capturer = Capturer(model, values, {edge for unit in units for edge in unit.exits})
    captures = [capturer.capture(x, y, F.cross_entropy) for x, y in batches(2, 5)]
    for number, unit in enumerate(units):
        sizes = check(Part(unit, number), captures, memory)
        if name == "mobilenet_v1":
            assert min(sizes) == 1 < max(sizes)


@pytest.mark.parametrize("name", FAMILIES)
def test_on_every_family(name: str) -> None:
    """Channels that do not go apart (taps, stretches, two groups in a layer) stay together."""
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, 3, seed=5)
    graph, wires = ea.trace(model, x), TracedProgram(model, (x,))
    with scoring_state(model):
        units = [Unit(model, graph, group, wires=wires) for group in graph.growable]
        values = {edge for unit in units for edge in unit.entrances}
        exits = {edge for unit in units for edge in unit.exits}
        y = torch.arange(3) % family.classes
        captured = Capturer(model, values, exits, wires).capture(x, y, F.cross_entropy)
        for number, unit in enumerate(units):
            check(Part(unit, number), [captured], 1e12)


@pytest.mark.parametrize("room", [0.0, 3.0, 7.0, 1e3])
def test_memory_that_fewer_channels_leave_is_used_again(room: float) -> None:
    """Never more than `memory`, whichever channels are asked for; all that was there comes back."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    parts = [Part(Unit(model, graph, group), n) for n, group in enumerate(graph.growable)]
    values = {edge for part in parts for edge in part.unit.entrances}
    capturer = Capturer(model, values, {edge for part in parts for edge in part.unit.exits})
    data = batches(6, 6)
    memory = room * capturer.capture(*data[0], F.cross_entropy).nbytes
    passes = Passes(lambda x, y: capturer.capture(x, y, F.cross_entropy), data, memory)
    for keep in (1.0, 0.5, 0.2, 1.0):
        for batch in passes:
            for part in parts:
                v = torch.ones_like(part.unit.theta)
                v[max(1, int(keep * len(v))) :] = 0
                batch.multiply(part, part.product(v))
            held = {t.untyped_storage().data_ptr(): t for b in passes.held() for t in b.tensors()}
            assert sum(t.untyped_storage().nbytes() for t in held.values()) <= memory

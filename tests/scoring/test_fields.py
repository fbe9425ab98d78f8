"""The engine's products against automatic differentiation, on every network, group and scope."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs, settled
from networks import NETWORKS, Tied, batches, sample, trained

import easearch as ea
from easearch.scoring.linearised import fields as fields_module
from easearch.scoring.linearised.fields import Engine, Fields, engine
from easearch.scoring.samples.capture import Captured, Capturer
from easearch.scoring.samples.passes import Part, Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import scoring_state
from easearch.scoring.units.unit import Unit
from easearch.tracing import KINDS, Kind, Role


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


def times(fast: Engine, v: torch.Tensor, fields: Fields) -> torch.Tensor:
    product = fast.product(v)
    product.add(fields.chunks, fields.first)
    return product.total()


def drawn(unit: Unit, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(unit.theta.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [2**21, 2**14])
@pytest.mark.parametrize("scope", ["unit", "rows", "layer"])
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
                error = (times(fast, v, fields) - expected).abs().max()
                assert error <= 1e-8 * expected.abs().max() + 1e-14, unit.group.name


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_a_block_of_the_unit(name: str) -> None:
    """Vectors along the writers' weights alone: the same products, where those weights are."""
    whole, captures = units(name, "unit")
    rows, _ = units(name, "rows")
    assert [unit.group for unit in rows] == [unit.group for unit in whole]
    for unit, own in zip(whole, rows, strict=True):
        keys = {slot.key for slot in own.slots}
        assert keys == {
            held.path
            for layer in unit.layers
            if layer.name in unit.group.writers
            for held in layer.tensors
            if held.role == "weight"
        }
        v = drawn(own, 4)
        padded = unit.pack(
            {k: own.unpack(v).get(k, torch.zeros_like(t)) for k, t in unit.held.items()}
        )
        for fast in (True, False):
            found, other = (
                times(engine_of(u), x, engine_of(u).fields(captures[0]))
                if fast
                else u.product(x, captures[0])
                for u, x in ((own, v), (unit, padded))
            )
            block = own.pack({k: t for k, t in unit.unpack(other).items() if k in keys})
            assert torch.allclose(found, block, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_matrix_is_symmetric(name: str) -> None:
    """`<w, S v> = <v, S w>`, channel by channel."""
    found, captures = units(name, "unit")
    for unit in found:
        fast = engine_of(unit)
        fields = fast.fields(captures[0])
        v, w = drawn(unit, 0), drawn(unit, 1)
        left = (w * times(fast, v, fields)).sum(1)
        right = (v * times(fast, w, fields)).sum(1)
        assert torch.allclose(left, right, rtol=1e-9, atol=1e-12 * float(left.abs().max()))


@pytest.mark.parametrize("scope", ["unit", "rows", "layer"])
@pytest.mark.parametrize("name", NETWORKS)
def test_phi_is_that_of_the_unit(name: str, scope: str) -> None:
    found, captures = units(name, scope)
    for unit in found:
        fast = engine_of(unit)
        theta = unit.theta + 0.01 * drawn(unit, 2)
        expected = unit.phi_at(theta, captures[0])
        assert torch.allclose(fast.phi(theta, captures[0]), expected, rtol=1e-9, atol=1e-12)
        here = fast.fields(captures[0]).here
        assert torch.allclose(here, unit.phi_at(unit.theta, captures[0]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scope", ["unit", "rows", "layer"])
@pytest.mark.parametrize("name", ["mobilenet_v2", "tied relu max-pool", "plain"])
def test_memory_changes_no_score(name: str, scope: str) -> None:
    """Everything kept, nothing kept, and some of it kept."""
    model = trained(name)
    graph = ea.trace(model, sample())
    scores = [
        {(c.move.group, c.move.channel): c.gain for c in ea.score(model, graph, batches(), how)}
        for how in (ea.Splitting(scope=scope, memory=memory) for memory in (1e12, 0.0, 4e5))
    ]
    assert any(scores[0].values())
    for other in scores[1:]:
        assert other == pytest.approx(scores[0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("room", [0.0, 2.5, 11.0])
def test_what_does_not_fit_is_not_held(room: float) -> None:
    """Bytes held between passes stay below `memory`, however many batches there are."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    split = [Part(Unit(model, graph, group), n) for n, group in enumerate(graph.growable)]
    values = {edge for part in split for edge in part.unit.entrances}
    capturer = Capturer(model, values, {edge for part in split for edge in part.unit.exits})
    data = batches(8, 6)
    memory = room * capturer.capture(*data[0], F.cross_entropy).nbytes
    passes = Passes(lambda x, y: capturer.capture(x, y, F.cross_entropy), data, memory)
    for _ in range(2):
        for batch in passes:
            for part in split:
                batch.multiply(part, part.product(drawn(part.unit, 0)))
    held = {t.untyped_storage().data_ptr(): t for b in passes.held() for t in b.tensors()}
    assert sum(t.untyped_storage().nbytes() for t in held.values()) <= memory
    assert bool(held) == (room > 0)


def test_a_hook_is_not_bypassed() -> None:
    """Somebody may look at, or change, what a module gives: then it is called. The same scores."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    expected = [c.gain for c in ea.score(model, graph, batches())]
    seen = []
    model.get_submodule("stem.conv").register_forward_hook(lambda *_: seen.append(1))
    units = [Unit(model, graph, group) for group in graph.growable]
    assert [engine(unit) is None for unit in units] == [
        unit.layers[0].name == "stem.conv" for unit in units
    ]
    assert [c.gain for c in ea.score(model, graph, batches())] == pytest.approx(expected, rel=1e-6)
    assert seen


@pytest.mark.parametrize("name", FAMILIES)
def test_products_on_every_family(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small chunks and whole; `phi` as well. A unit whose layers have no rule has no engine."""
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, 3, seed=5)
    graph, wires = ea.trace(model, x), TracedProgram(model, (x,))
    with scoring_state(model):
        found = [Unit(model, graph, group, wires=wires) for group in graph.growable]
        values = {edge for unit in found for edge in unit.entrances}
        exits = {edge for unit in found for edge in unit.exits}
        y = torch.arange(3) % family.classes
        captured = Capturer(model, values, exits, wires).capture(x, y, F.cross_entropy)
        for unit in found:
            fast = engine(unit)
            if fast is None:
                assert name in SLOW
                continue
            v, theta = drawn(unit, 0), unit.theta * (1 + 0.01 * drawn(unit, 1))
            expected, phi = unit.product(v, captured), unit.phi_at(theta, captured)
            for chunk in (1, 2**21):
                monkeypatch.setattr(fields_module, "CHUNK", chunk)
                error = (times(fast, v, fast.fields(captured)) - expected).abs().max()
                assert error <= 1e-8 * expected.abs().max() + 1e-12, unit.group.name
                assert torch.allclose(fast.phi(theta, captured), phi, rtol=1e-9, atol=1e-12)


class Ramp(torch.nn.Module):
    """A mask over as many rows as there are samples."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = (1.0 + torch.arange(x.shape[2], dtype=torch.float64))[:, None]
        return self.head((torch.tanh(self.stem(x)) * rows).mean((2, 3)))


def test_what_is_spread_over_samples_is_not_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields_module, "CHUNK", 1)
    model, x = Ramp().double(), torch.randn(4, 3, 4, 3, dtype=torch.float64)
    graph = ea.trace(model, x)
    (group,) = graph.growable
    unit = Unit(model, graph, group)
    fast, v = engine_of(unit), drawn(unit, 0)
    capturer = Capturer(model, unit.entrances, unit.exits)
    captured = capturer.capture(x, torch.arange(4), F.cross_entropy)
    expected = unit.product(v, captured)
    error = (times(fast, v, fast.fields(captured)) - expected).abs().max()
    assert error <= 1e-8 * expected.abs().max()


SLOW = {
    *("transposed", "group_norm", "instance_norm", "layer_norm_positions", "prelu"),
    *("bias_parameter", "shared_conv", "twice", "tied_weights", "needs_export"),
}
"""Families with a unit that is left to automatic differentiation."""


class Sinc(Kind):
    """A kind that scoring has no rule for."""

    name = "sinc"
    role = Role.FOLLOWS
    functions: ClassVar = {torch.sinc: ("input",)}


class Wave(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sinc(x)


def test_a_kind_without_a_rule_is_left_to_automatic_differentiation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Tied(Wave).double()
    monkeypatch.setitem(KINDS, "sinc", Sinc())
    graph = ea.trace(model, sample())
    units = [Unit(model, graph, group) for group in graph.growable]
    assert units
    assert all(engine(unit) is None for unit in units)
    kept, streamed = (
        [c.gain for c in ea.score(model, graph, batches(), ea.Splitting(memory=memory))]
        for memory in (1e12, 0.0)
    )
    assert max(kept) > 0
    assert streamed == pytest.approx(kept, rel=1e-9, abs=1e-12)


def test_single_precision_agrees() -> None:
    found, captures = units("mobilenet_v1", "unit")
    double = [times(engine_of(u), drawn(u, 0), engine_of(u).fields(captures[0])) for u in found]
    model = trained("mobilenet_v1").float()
    graph = ea.trace(model, sample().float())
    for expected, group in zip(double, graph.growable, strict=True):
        unit = Unit(model, graph, group)
        capturer = Capturer(model, unit.entrances, unit.exits)
        x, y = batches(2, 6)[0]
        fields = engine_of(unit).fields(capturer.capture(x.float(), y, F.cross_entropy))
        single = times(engine_of(unit), drawn(unit, 0).float(), fields)
        assert single.dtype == torch.float32
        assert (single - expected).abs().max() <= 1e-4 * expected.abs().max()

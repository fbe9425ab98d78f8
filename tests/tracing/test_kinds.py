"""Kinds of layers: their work is what others count; what no kind knows freezes, with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from examples import EXAMPLES
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import easearch as ea
from easearch.tracing import KINDS
from easearch.tracing.kind import Role

OUTPUT = "its channels are the network's output"
CASES = [(kind, number) for kind in EXAMPLES for number in range(len(EXAMPLES[kind]))]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_every_kind_has_an_example() -> None:
    # A constant has no input, what is unused no work, recurrent layers have several outputs, an
    # embedding reads whole numbers: their examples are in test_constant.py, test_training_only.py,
    # tests/budget/test_whole.py and test_embedding.py.
    assert set(EXAMPLES) == set(KINDS) - {"constant", "unused", "recurrent", "embedding"}


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_work_and_size_are_what_others_count(kind: str, number: int) -> None:
    build, shape = EXAMPLES[kind][number]
    model, x = build().double().eval(), torch.zeros(1, *shape[1:], dtype=torch.float64)
    wrapped = nn.Sequential(model)
    graph = ea.trace(wrapped, x)
    assert kind in [layer.kind for layer in graph.layers]
    shapes = [graph.shape(layer.name) for layer in graph.layers if layer.kind in KINDS]
    # Attention is counted as the products that it is made of, in training mode: outside, torch
    # has one operator for all of it, which its counter does not know.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        out = wrapped.train(kind == "multihead_attention")(x.clone().requires_grad_(True) * 1)
    assert sum(KINDS[shape.kind].macs(shape) for shape in shapes) == counter.get_total_flops() / 2
    own = sum(parameter.numel() for parameter in wrapped.parameters())
    assert sum(KINDS[shape.kind].params(shape) for shape in shapes) == own
    last = graph.shape(graph.layers[-1].name)
    assert last.out_shape == tuple(out.shape)


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_what_follows_keeps_channels_apart(kind: str, number: int) -> None:
    """The role is no opinion: a unit of the input reaches no other unit's columns."""
    build, size = EXAMPLES[kind][number]
    model = build().double().eval()
    # Behind a layer of its own making, so that what freezes its channels is this layer alone.
    begun = {2: nn.Linear(6, size[1]), 3: nn.Conv1d(6, size[1], 1), 4: nn.Conv2d(6, size[1], 1)}
    begun[5] = nn.Conv3d(6, size[1], 1)
    whole = nn.Sequential(begun[len(size)], model).double().eval()
    graph = ea.trace(whole, torch.zeros(2, 6, *size[2:], dtype=torch.float64))
    layer = graph.layers[-1]
    if KINDS[layer.kind].role is not Role.FOLLOWS or len(graph.layers) > 3:
        pytest.skip("it does not follow alone")
    if {graph.groups[name].frozen for name in layer.groups} != {OUTPUT}:
        pytest.skip("it is frozen")
    if len(layer.reads) > 1:
        pytest.skip("it reads several groups")
    (into,), (out,) = layer.reads, layer.writes
    x = torch.rand(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for unit in range(graph.groups[out.group].width):
        moved = x.clone()
        inside = slice(unit * into.taps, (unit + 1) * into.taps)
        moved[:, inside] += torch.rand(moved[:, inside].shape, dtype=torch.float64)
        with torch.no_grad():
            changed = (model(moved) - model(x)).abs().transpose(0, layer.out_axis).flatten(1)
        columns = set((changed.amax(1) > 0).nonzero().flatten().tolist())
        assert columns or layer.kind == "fill"
        assert columns <= set(range(unit * out.taps, (unit + 1) * out.taps))


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_tensors_of_a_kind_are_its_modules_own(kind: str, number: int) -> None:
    """Every tensor is named, and has as many numbers along an axis as the layer has channels."""
    build, size = EXAMPLES[kind][number]
    model = nn.Sequential(build()).double().eval()
    graph = ea.trace(model, torch.zeros(size, dtype=torch.float64))
    tensors = model.state_dict()
    held = [(layer, one) for layer in graph.layers for one in layer.tensors]
    assert {one.path for _, one in held} == {name for name, t in tensors.items() if t.dim()}
    for layer, one in held:
        shape = graph.shape(layer.name)
        if one.rows is not None:
            assert tensors[one.path].shape[one.rows] == shape.out_channels
        if one.columns is not None:
            assert tensors[one.path].shape[one.columns] == shape.in_channels

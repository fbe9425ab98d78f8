"""What channels own: every number once, wherever it is kept; offsets as surgery reads them."""

from __future__ import annotations

import pytest
import torch
from families import FAMILIES, inputs, settled
from torch import nn

import easearch as ea
from easearch.scoring.units.rows import Rows
from easearch.scoring.units.scope import subgraph


def rows_of(name: str) -> tuple[nn.Module, ea.Graph, list[tuple[str, Rows]]]:
    family = FAMILIES[name]
    model = settled(family)
    graph = ea.trace(model, inputs(family))
    return (
        model,
        graph,
        [(g.name, Rows(model, graph, g, subgraph(graph, g, "unit"))) for g in graph.growable],
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_packed_comes_back(name: str) -> None:
    """`pack` is the left inverse of `unpack`, and `unpack_over` changes the group's rows alone."""
    _, _, found = rows_of(name)
    for _, rows in found:
        packed = torch.randn(rows.theta.shape, dtype=torch.float64)
        assert torch.equal(rows.pack(rows.unpack(packed)), packed)
        over, zeros = rows.unpack_over(packed), rows.unpack(torch.ones_like(packed))
        for key, old in rows.held.items():
            assert torch.equal(over[key][zeros[key] == 0], old[zeros[key] == 0])
        assert torch.equal(rows.pack(rows.unpack_over(rows.theta)), rows.theta)
        assert all(torch.equal(t, rows.held[k]) for k, t in rows.unpack_over(rows.theta).items())


@pytest.mark.parametrize("name", FAMILIES)
def test_no_number_is_owned_twice(name: str) -> None:
    """Neither within a group nor by two groups."""
    _, _, found = rows_of(name)
    owned: dict[str, torch.Tensor] = {}
    for _, rows in found:
        for key, ones in rows.unpack(torch.ones_like(rows.theta)).items():
            owned[key] = owned.get(key, 0) + ones
        numbers = sum(int(t.sum()) for t in rows.unpack(torch.ones_like(rows.theta)).values())
        assert numbers == rows.theta.numel()
    assert all(float(count.max()) <= 1 for count in owned.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_an_offset_lands_on_its_own_numbers(name: str) -> None:
    """A split in two halves, whose offsets are told apart: the first half stays where the channel
    was, the second is appended, and each carries its own offset.
    """
    model, graph, found = rows_of(name)
    for group, rows in found[:3] + found[3:][-3:]:
        channel = rows.width - 1
        row = torch.randn(rows.theta.shape[1], dtype=torch.float64)
        move = ea.Split(
            group=group, channel=channel, offsets=(rows.offset(row), rows.offset(-2 * row))
        )
        wider = ea.apply(model, graph, [move])
        after = ea.trace(wider, inputs(FAMILIES[name]))
        grown = Rows(
            wider, after, after.groups[group], subgraph(after, after.groups[group], "unit")
        )
        assert grown.width == rows.width + 1
        theta = rows.theta
        if grown.theta.shape[1] == theta.shape[1] and _reads_nothing_of_itself(graph, group):
            expected = torch.cat([theta, theta[channel:] - 2 * row])
            expected[channel] += row
            assert torch.allclose(grown.theta, expected, rtol=1e-12, atol=1e-14)


def _reads_nothing_of_itself(graph: ea.Graph, group: str) -> bool:
    """Whether no writer reads the group, so that what a channel owns keeps its size."""
    return not any(
        segment.group == group
        for writer in graph.groups[group].writers
        for segment in graph.by_name[writer].reads
    )


def test_rows_along_another_axis_and_in_several_stretches() -> None:
    """A transposed convolution keeps its rows at axis 1; a gated unit writes its group twice; a
    grouped convolution owns blocks; a module called twice owns its tensors once.
    """
    _, _, transposed = rows_of("transposed")
    assert {slot.axis for _, rows in transposed for slot in rows.slots} == {0, 1}
    _, _, gated = rows_of("glu")
    (wide,) = (rows for _, rows in gated if len(rows.slots[0].stretches) == 2)
    assert wide.slots[0].stretches == ((0, 1), (7, 1))
    assert set(wide.offset(wide.theta[0])) == {"wide.weight", "wide.bias"}
    assert wide.offset(wide.theta[3])["wide.bias"].tolist() == pytest.approx(
        [float(wide.held["wide.bias"][3]), float(wide.held["wide.bias"][10])]
    )
    _, _, grouped = rows_of("grouped")
    assert max(taps for _, rows in grouped for slot in rows.slots for _, taps in slot.stretches) > 1
    _, _, shared = rows_of("shared_conv")
    keys = [slot.key for _, rows in shared for slot in rows.slots]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", ["glu", "grouped", "transposed", "shared_conv", "concat_add"])
def test_the_flat_start_is_at_the_weights_of_the_inputs(name: str) -> None:
    _, graph, found = rows_of(name)
    columns = {h.path for layer in graph.layers for h in layer.tensors if h.columns is not None}
    for _, rows in found:
        theirs = rows.unpack(torch.ones_like(rows.theta))
        for key, values in rows.unpack(rows.flat).items():
            assert torch.equal(values, theirs[key] * (key in columns))


@pytest.mark.parametrize("name", FAMILIES)
def test_few_rows_are_those_of_their_channels(name: str) -> None:
    """Or none at all, where a channel's numbers are not one row of every parameter."""
    _, _, found = rows_of(name)
    for _, rows in found:
        channels = torch.arange(rows.width)[:: 2 if rows.width > 1 else 1]
        few = rows.few(channels)
        if few is None:
            assert any(
                slot.taps > 1 or slot.axis or len(rows.held[slot.key]) != rows.width
                for slot in rows.slots
            )
            continue
        assert torch.equal(few.theta, rows.theta[channels])
        assert torch.equal(few.pack(few.unpack(few.theta)), few.theta)

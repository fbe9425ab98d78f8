"""What channels are worth: squares of the slopes that plain gradients of the readers show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, UNTRACEABLE, inputs, settled
from torch import Tensor, nn

from easearch.graph import ChannelGroup, Graph, offsets_in
from easearch.scoring.worth import worth
from easearch.tracing import trace


def by_readers(model: nn.Module, graph: Graph, group: ChannelGroup) -> Tensor:
    """(C,): what the readers' weights say, which are linear in the channel: the sum over its
    columns of weight times gradient is the derivative by its size.
    """
    total = torch.zeros(group.width, dtype=torch.float64)
    tensors = dict(model.named_parameters(remove_duplicate=False))
    for reader in (graph.by_name[name] for name in group.readers):
        for held in reader.tensors:
            if held.columns is None:
                continue
            weight = tensors[held.path]
            assert weight.grad is not None
            product = (weight * weight.grad).movedim(held.columns, 0)
            product = product.reshape(len(product), -1).sum(1)
            for segment, start in offsets_in(graph, reader.reads):
                if segment.group == group.name:
                    block = product[start : start + group.width * segment.taps]
                    total += block.reshape(group.width, segment.taps).sum(1).detach()
    return total


def linear(graph: Graph, group: ChannelGroup) -> bool:
    """Whether each reader has one weight with the group's columns, which no other layer uses."""
    used = [held.path for layer in graph.layers for held in layer.tensors]
    for reader in (graph.by_name[name] for name in group.readers):
        columns = [held.path for held in reader.tensors if held.columns is not None]
        if len(columns) != 1 or used.count(columns[0]) != 1:
            return False
    return bool(group.readers)


def shown(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, targets) * outputs[0].numel()


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - UNTRACEABLE))
def test_worth_is_what_the_readers_gradients_show(name: str) -> None:
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, batch=3)
    graph = trace(model, x)
    with torch.no_grad():
        outputs = model(x)
    targets = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(5)).to(outputs)
    found = worth(model, graph, [(x, targets)], shown)
    wanted = {name: torch.zeros(len(value), dtype=torch.float64) for name, value in found.items()}
    for number in range(len(x)):
        model.zero_grad()
        one = slice(number, number + 1)
        shown(model(x[one]), targets[one]).backward()
        for group in graph.growable:
            if group.name in wanted and linear(graph, group):
                wanted[group.name] += by_readers(model, graph, group).square() / (2 * len(x))
    for group in graph.growable:
        if group.name in found and linear(graph, group):
            assert found[group.name] == pytest.approx(wanted[group.name], rel=1e-9, abs=1e-12)

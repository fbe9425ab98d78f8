"""What the channels that are there are worth: what the loss would be without one of them.

[Theis2018] L. Theis et al., Faster gaze prediction with dense networks and Fisher pruning,
arXiv:1801.05787, eq. 7: half the mean square, over samples, of a channel's value times the loss's
gradient there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from easearch.graph import ChannelGroup, Graph
from easearch.roles import Batches, Loss
from easearch.scoring.samples.batches import first_inputs, prepared
from easearch.scoring.samples.capture import Captured, Capturer, Edge
from easearch.scoring.samples.compared import compared
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import scoring_state
from easearch.scoring.units.scope import exits, per_channel, subgraph


def worth(model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> dict[str, Tensor]:
    """By how much the mean loss would rise (nats) without a channel, channel by channel.

    To second order, with the empirical Fisher matrix for the curvature and without the first order,
    which is nothing where training has settled. One pass over the batches, in evaluation mode; the
    model is left bit-identical.

    Returns:
        Group -> (C,), of every growable group that something reads.

    Raises:
        ScoringError: batches or a loss that nothing can be scored with.
    """
    wires = TracedProgram(model, first_inputs(batches))
    with scoring_state(model):
        compared(model, (), wires, batches)
        samples, _ = prepared(batches, model, loss, crossfit=False)
        edges = {group.name: _exits(graph, group, wires) for group in graph.growable}
        read = {name: found for name, found in edges.items() if found}
        every = [edge for found in read.values() for edge in found]
        capturer = Capturer(model, every, every, wires)
        squares = {
            name: torch.zeros(graph.groups[name].width, dtype=torch.float64) for name in read
        }
        seen = 0
        for inputs, targets in samples:
            captured = capturer.capture(inputs, targets, loss)
            seen += captured.samples
            for name, found in read.items():
                slopes = sum(_slopes(graph, graph.groups[name], edge, captured) for edge in found)
                squares[name] += torch.as_tensor(slopes).double().square().sum(0).cpu()
    return {name: total / (2 * seen) for name, total in squares.items()}


def _exits(graph: Graph, group: ChannelGroup, wires: TracedProgram) -> list[Edge]:
    return list(exits(graph, group, "unit", tuple(subgraph(graph, group, "unit")), wires))


def _slopes(graph: Graph, group: ChannelGroup, edge: Edge, captured: Captured) -> Tensor:
    """(N, C): the derivative of every sample's loss by the size of a channel at this edge."""
    product = captured.values[edge] * captured.gradients[edge]
    return per_channel(product, graph, graph.by_name[edge[0]], group, by_sample=True)

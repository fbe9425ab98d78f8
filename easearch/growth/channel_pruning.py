"""Back to smaller widths: which channels a network can do without, and how many of each group.

How many is the same question as in growing, and is answered by the same knapsack: from the seed's
widths on, each channel that is kept gains what it is worth, and costs what the device says.

[Liu2017] Z. Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV
2017, arXiv:1708.06519: the absolute scale that a batch norm gives a channel says what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from easearch.errors import GraphError
from easearch.graph import ChannelGroup, Graph, Layer, offsets_in
from easearch.moves import Candidate, NewNeuron, Remove
from easearch.roles import Worths

NORMS = frozenset({"batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm"})
"""Kinds of layers that give every channel a scale."""


def keepable(
    graph: Graph, worths: Worths, least: Mapping[str, int]
) -> tuple[Graph, list[Candidate]]:
    """The network at its least widths, and what it may keep beyond them: a candidate a channel,
    the most worth first. Groups of which nothing is known stay as they are.
    """
    known = {group.name for group in graph.growable} & worths.keys() & least.keys()
    widths = {name: min(least[name], graph.groups[name].width) for name in known}
    kept = [
        Candidate(move=NewNeuron(group=name), gain=float(one))
        for name in sorted(known)
        for one in worths[name].sort(descending=True).values[widths[name] :]
    ]
    return graph.with_widths(widths), sorted(kept, key=lambda one: -one.gain)


def removals(
    model: nn.Module, graph: Graph, widths: Mapping[str, int], worths: Worths | None = None
) -> list[Remove]:
    """The moves that bring wider groups to these widths: away with what is worth least.

    Args:
        model: whose norms say what channels are worth, where `worths` do not.
        graph: the model's.
        widths: by group; others stay.
        worths: what the channels are worth.

    Raises:
        GraphError: a group of which nothing says what its channels are worth.
    """
    known = worths or {}
    cut = []
    for group in graph.growable:
        surplus = group.width - widths.get(group.name, group.width)
        if surplus > 0:
            own = known.get(group.name)
            own = worth(model, graph, group) if own is None else own
            order = torch.argsort(own, stable=True)
            cut.append(Remove(group=group.name, channels=tuple(sorted(order[:surplus].tolist()))))
    return cut


def worth(model: nn.Module, graph: Graph, group: ChannelGroup) -> Tensor:
    """What every channel of a group is worth, (C,): the absolute scale that its norms give it, each
    norm's over that norm's mean, so that one norm does not speak for all.

    Of a group without norms it is the Euclidean norm of its writers' rows, likewise.
    """
    norms = (graph.by_name[name] for name in group.followers)
    writers = (graph.by_name[name] for name in group.writers)
    scales = {
        path: rows.abs().sum(1)
        for layer in norms
        if layer.kind in NORMS
        for path, rows in _rows(model, graph, layer, group, 1)
    } or {
        path: rows.norm(dim=1)
        for layer in writers
        for path, rows in _rows(model, graph, layer, group, 2)
    }
    if not scales:
        raise GraphError(
            f"expected norms or weights that say what the channels of '{group.name}' are worth, "
            "got none; it can grow, but not be cut back"
        )
    return torch.stack([one / one.mean().clamp(min=1e-12) for one in scales.values()]).mean(0)


def _rows(
    model: nn.Module, graph: Graph, layer: Layer, group: ChannelGroup, least: int
) -> Iterator[tuple[str, Tensor]]:
    """(name, (C, numbers)) of the layer's weights of `least` axes or more: what the channels of the
    group own in them.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for held in layer.tensors:
        weight = parameters.get(held.path)
        if held.role != "weight" or held.rows is None or weight is None or weight.dim() < least:
            continue
        rows = weight.detach().movedim(held.rows, 0).reshape(weight.shape[held.rows], -1)
        places = [
            rows.narrow(0, start, group.width * segment.taps).reshape(group.width, -1)
            for segment, start in offsets_in(graph, layer.writes)
            if segment.group == group.name
        ]
        if places:
            yield held.path, torch.cat(places, dim=1)

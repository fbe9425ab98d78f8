"""Growing a real network: every tensor is gathered once along its channel axes, after its group's
lineage.

Rows first, with the offspring's offsets, then columns, times the shares: so that a channel that is
itself read by a split layer keeps its displacement (docs/methods.md, 6). Signs and shares go to the
linear readers alone.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from easearch.errors import GraphError
from easearch.graph import Graph, Layer, Layout
from easearch.growth.lineage import Axis, Lineage, axis_of, lineages, resizing
from easearch.moves import Move
from easearch.tracing import KINDS, Kind


@overload
def apply(model: nn.Module, graph: Graph, moves: Sequence[Move]) -> nn.Module: ...
@overload
def apply(
    model: nn.Module, graph: Graph, moves: Sequence[Move], optimizer: Optimizer
) -> tuple[nn.Module, Optimizer]: ...
def apply(
    model: nn.Module, graph: Graph, moves: Sequence[Move], optimizer: Optimizer | None = None
) -> nn.Module | tuple[nn.Module, Optimizer]:
    """A new model with the moves performed; the given model (and optimizer) stay as they were.

    With moves whose offsets are zero the new model computes the same function, in evaluation and in
    training mode. `trace(apply(model, graph, moves)) == graph.after(moves)`.

    Args:
        model: the model of which `graph` is the trace.
        graph: its graph.
        moves: any number, on any groups; each channel is split at most once.
        optimizer: carried over when given. Rows copy their parent's state; columns too, and their
            momentum is shared out like the weights, so that the next step moves the function as it
            would have before.

    Raises:
        GraphError: a move does not fit the graph, or the graph does not fit the model.
    """
    graph.after(moves)
    return _rebuilt(model, graph, lineages(graph, moves), optimizer)


def resize(model: nn.Module, graph: Graph, widths: Mapping[str, int]) -> nn.Module:
    """A copy of the model with groups of these widths; what its new tensors hold has no meaning.

    It is the frame into which saved weights are loaded.
    """
    graph.with_widths(widths)
    resized = _rebuilt(model, graph, resizing(graph, widths), None)
    assert isinstance(resized, nn.Module)
    return resized


def _rebuilt(
    model: nn.Module, graph: Graph, changed: Mapping[str, Lineage], optimizer: Optimizer | None
) -> nn.Module | tuple[nn.Module, Optimizer]:
    wider = copy.deepcopy(model)
    replaced: dict[str, _Tensor] = {}
    for layer, kind, module in _layers(wider, graph, changed):
        for tensor in _tensors(layer, kind, module, graph, changed):
            old = getattr(module, tensor.name)
            new = tensor.grown(old.detach(), offsets=True)
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, requires_grad=old.requires_grad)
            setattr(module, tensor.name, new)
            replaced[f"{layer.name}.{tensor.name}"] = tensor
        after = {name: lineage.width for name, lineage in changed.items()}
        shape = graph.shape(layer.name, after)
        kind.resize(module, shape.in_channels, shape.out_channels)
    if optimizer is None:
        return wider
    return wider, _carried(optimizer, model, wider, replaced)


def _layers(
    model: nn.Module, graph: Graph, changed: Mapping[str, Lineage]
) -> Iterator[tuple[Layer, Kind, nn.Module]]:
    """The layers that own tensors and touch a group that changes."""
    modules = dict(model.named_modules())
    for layer in graph.layers:
        kind = KINDS.get(layer.kind)
        if kind is None or not any(group in changed for group in layer.groups):
            continue
        if kind.out_axes or kind.in_axes:
            if not isinstance(modules.get(layer.name), kind.modules):
                raise GraphError(
                    f"expected a {kind.name} at '{layer.name}', as in the graph, got "
                    f"{type(modules.get(layer.name)).__name__}; trace this model, use its own graph"
                )
            yield layer, kind, modules[layer.name]


class _Tensor:
    """One tensor of a layer: how its rows and columns come from the old ones."""

    def __init__(
        self, name: str, key: str, born: float, rows: Axis | None, columns: Axis | None
    ) -> None:
        self.name, self.key, self.born, self.rows, self.columns = name, key, born, rows, columns

    def grown(self, old: Tensor, *, offsets: bool = False, shared: bool = True) -> Tensor:
        """The new tensor; `offsets` adds the moves' own numbers, `shared` applies the shares to
        columns.
        """
        new = old
        if self.rows is not None:
            new = self.rows.gather(new, born=self.born if offsets else 0.0)
            if offsets:
                self.rows.displace(new, self.key)
        if self.columns is not None:
            new = self.columns.gather(new, born=0.0, shared=shared)
            if offsets:
                self.columns.connect(new, self.key, self.rows)
        return new


def _tensors(
    layer: Layer, kind: Kind, module: nn.Module, graph: Graph, changed: Mapping[str, Lineage]
) -> Iterator[_Tensor]:
    def axis(layout: Layout, number: int | None) -> Axis | None:
        return None if number is None else axis_of(graph, layout, number, changed)

    for name in dict.fromkeys((*kind.out_axes, *kind.in_axes)):
        if getattr(module, name, None) is None:
            continue
        rows = axis(layer.writes, kind.out_axes.get(name))
        columns = axis(layer.reads, kind.in_axes.get(name))
        if rows is not None or columns is not None:
            yield _Tensor(name, f"{layer.name}.{name}", kind.newborn.get(name, 0.0), rows, columns)


def _carried(
    optimizer: Optimizer, model: nn.Module, wider: nn.Module, replaced: Mapping[str, _Tensor]
) -> Optimizer:
    """The optimizer for the wider model: the same groups and options, every state of a parameter's
    shape grown.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    new = dict(wider.named_parameters())
    try:
        groups = [
            {**group, "params": [new[names[id(p)]] for p in group["params"]]}
            for group in optimizer.param_groups
        ]
    except KeyError:
        raise GraphError("the optimizer holds a parameter that is not the model's") from None
    carried: Optimizer = object.__new__(type(optimizer))
    # A scheduler leaves its own bound `step` on the instance: it would step the old optimizer.
    vars(carried).update({key: value for key, value in vars(optimizer).items() if key != "step"})
    carried.param_groups, carried.state = groups, defaultdict(dict)
    for old, state in optimizer.state.items():
        name = names[id(old)]
        tensor = replaced.get(name)

        def grown(key: str, value: Any, old: Tensor = old, tensor: _Tensor | None = tensor) -> Any:
            if tensor is None or not isinstance(value, Tensor) or value.shape != old.shape:
                return copy.deepcopy(value)
            # Second moments scale a step, they are not part of it: only first moments are shared
            # out.
            return tensor.grown(value, shared=not key.endswith("sq"))

        with torch.no_grad():
            carried.state[new[name]] = {key: grown(key, value) for key, value in state.items()}
    return carried

"""Growing a real network: every tensor is gathered once along its channel axes, after its groups'
lineages.

Rows first, with the offspring's offsets, then columns, times the shares: so that a channel that is
itself read by a split layer keeps its displacement (docs/methods.md, 6). Signs and shares go to the
linear readers alone. New tensors are made before the model is copied, and the copy takes them in
place of the old ones: none is copied twice, and one that several layers share is shared again.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from easearch.checks.objects import check_axis, check_moves, check_own
from easearch.graph import Graph, Held, Layout
from easearch.growth.channel_mapping import (
    Axis,
    Lineage,
    axis_of,
    lineages,
    memory_format,
    resizing,
)
from easearch.growth.deeper import deepen
from easearch.growth.duplicate_channels import twins
from easearch.growth.optimizer_state import carried
from easearch.moves import Move
from easearch.reparametrized import computed_weights, loose, plain, restore
from easearch.tracing import KINDS


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
        moves: any number, on any groups; each channel is split or removed at most once. New layers
            come after the widths.
        optimizer: carried over when given, with its state (see `carrying`).

    Raises:
        GraphError: a move does not fit the graph, the graph does not fit the model, or the
            optimizer's state cannot follow.
    """
    check_own(model, graph)
    check_moves(moves, graph)
    if optimizer is None:
        return perform(model, graph, moves)
    return perform(model, graph, moves, optimizer)


@overload
def perform(model: nn.Module, graph: Graph, moves: Sequence[Move]) -> nn.Module: ...
@overload
def perform(
    model: nn.Module, graph: Graph, moves: Sequence[Move], optimizer: Optimizer
) -> tuple[nn.Module, Optimizer]: ...
def perform(
    model: nn.Module, graph: Graph, moves: Sequence[Move], optimizer: Optimizer | None = None
) -> nn.Module | tuple[nn.Module, Optimizer]:
    """As `apply`, of arguments that are known to fit; moves may be scaled beyond all numbers."""
    graph.after(moves)
    base = plain(model)
    changed = lineages(graph, moves, twins(graph, moves, _tensors(base)))
    grown = _rebuilt(base, graph, changed)
    widened = graph.with_widths({name: line.width for name, line in changed.items()})
    inserted = deepen(grown.model, widened, moves)
    grown = _restored(model, base, grown)
    if optimizer is None:
        return grown.model
    return grown.model, carried(optimizer, grown.new, grown.follow, inserted)


def resize(model: nn.Module, graph: Graph, widths: Mapping[str, int]) -> nn.Module:
    """A copy of the model with groups of these widths; what its new tensors hold has no meaning.

    It is the frame into which saved weights are loaded.
    """
    graph.with_widths(widths)
    base = plain(model)
    return _restored(model, base, _rebuilt(base, graph, resizing(graph, widths))).model


@dataclass(frozen=True, kw_only=True)
class Following:
    """How one tensor follows the moves."""

    path: str
    born: float
    rows: Axis | None
    columns: Axis | None

    def grown(self, old: Tensor, *, offsets: bool = False, shared: bool = True) -> Tensor:
        """The new tensor; `offsets` adds the moves' own numbers, `shared` applies the shares to
        columns.
        """
        new = old
        if self.rows is not None:
            new = self.rows.gather(new, born=self.born if offsets else 0.0)
            if offsets:
                self.rows.displace(new, self.path)
        if self.columns is not None:
            new = self.columns.gather(new, born=0.0, shared=shared)
            if offsets:
                self.columns.connect(new, self.path, self.rows)
        wanted = memory_format(old)
        if memory_format(new) == wanted:
            return new
        # Not `contiguous`: with sizes of 1 it takes either order for the other.
        return torch.empty_like(new, memory_format=wanted).copy_(new)

    def fitting(self, old: Tensor, new: Tensor) -> Following | None:
        """The same along those axes that lead from the old tensor's shape to the new one's."""
        for rows, columns in itertools.product((self.rows, None), (self.columns, None)):
            axes = [axis for axis in (rows, columns) if axis is not None]
            if all(axis.number < old.dim() for axis in axes):
                shape = list(old.shape)
                for axis in axes:
                    shape[axis.number] = len(axis.index)
                if tuple(shape) == tuple(new.shape):
                    return replace(self, rows=rows, columns=columns)
        return None


@dataclass(frozen=True, kw_only=True)
class _Grown:
    model: nn.Module
    new: Mapping[int, Any]
    """Of every tensor of the old model, by `id`, the new model's."""
    follow: Mapping[int, Following]
    """How every tensor that changes does so, by the old one's `id`."""


def _rebuilt(model: nn.Module, graph: Graph, changed: Mapping[str, Lineage]) -> _Grown:
    tensors = _tensors(model)
    new: dict[int, Any] = {}
    follow: dict[int, Following] = {}
    for following in _followings(graph, changed):
        old = tensors.get(following.path)
        for one in (following.rows, following.columns):
            if one is not None:
                check_axis(following.path, old, one.number, one.before)
        assert old is not None
        grown = following.grown(old.detach(), offsets=True)
        if isinstance(old, nn.Parameter):
            grown = nn.Parameter(grown, requires_grad=old.requires_grad)
        new[id(old)], follow[id(old)] = grown, following
    new |= loose(model)
    wider = copy.deepcopy(model, new)
    _record(wider, graph, changed)
    return _Grown(model=wider, new=new, follow=follow)


def _restored(model: nn.Module, base: nn.Module, grown: _Grown) -> _Grown:
    """With the weights that are computed as they were before the model was made plain."""
    if base is model:
        return grown
    tensors = _tensors(base)
    follow = {
        path: grown.follow[id(tensor)]
        for path, tensor in tensors.items()
        if id(tensor) in grown.follow
    }

    def followed(path: str, tensor: Tensor, shared: bool) -> Tensor:
        return follow[path].grown(tensor, shared=shared) if path in follow else tensor

    sources = restore(model, grown.model, followed)
    made = {
        id(source): follow[path]
        for one in computed_weights(model)
        for source in one.sources.values()
        if (path := f"{one.path}.{one.name}".lstrip(".")) in follow
    }
    old = {id(tensor): tensor for one in computed_weights(model) for tensor in one.sources.values()}
    fitting = {
        number: fit
        for number, following in made.items()
        if (fit := following.fitting(old[number], sources[number])) is not None
    }
    return _Grown(
        model=grown.model, new={**grown.new, **sources}, follow={**grown.follow, **fitting}
    )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    parameters = model.named_parameters(remove_duplicate=False)
    return dict(parameters) | dict(model.named_buffers(remove_duplicate=False))


def _followings(graph: Graph, changed: Mapping[str, Lineage]) -> list[Following]:
    """Every tensor along which a group changes, once: layers that share one agree on its axes."""
    axes: dict[tuple[Layout, int], Axis | None] = {}

    def axis(layout: Layout, number: int | None) -> Axis | None:
        if number is None:
            return None
        if (layout, number) not in axes:
            axes[layout, number] = axis_of(graph, layout, number, changed)
        return axes[layout, number]

    def born(kind: str, held: Held) -> float:
        return KINDS[kind].newborn.get(held.role, 0.0) if kind in KINDS else 0.0

    found: dict[str, Following] = {}
    for layer in graph.layers:
        for held in layer.tensors:
            rows, columns = axis(layer.writes, held.rows), axis(layer.reads, held.columns)
            if (rows or columns) and held.path not in found:
                found[held.path] = Following(
                    path=held.path, born=born(layer.kind, held), rows=rows, columns=columns
                )
    return list(found.values())


def _record(wider: nn.Module, graph: Graph, changed: Mapping[str, Lineage]) -> None:
    """Tell the modules their new widths."""
    modules = dict(wider.named_modules(remove_duplicate=False))
    after = {name: line.width for name, line in changed.items()}
    for layer in graph.layers:
        kind = KINDS.get(layer.kind)
        module = modules.get(layer.name)
        if kind is not None and isinstance(module, kind.modules) and after.keys() & layer.groups:
            reads, writes = (graph.channels(x, after) for x in (layer.reads, layer.writes))
            kind.resize(module, reads, writes)

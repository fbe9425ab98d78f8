"""The rules: how a layer of each kind is written as a step; what has none is left to automatic
differentiation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easearch.graph import Graph, Layer
from easearch.scoring.linearised.bilinear import Bilinear
from easearch.scoring.linearised.fold import fold
from easearch.scoring.linearised.maps import Map, Matrix, Scale, convolution
from easearch.scoring.linearised.replay import Product, Replay
from easearch.scoring.linearised.steps import ElementwiseNonlinearity, Plain, Step, Sum
from easearch.scoring.samples.capture import Edge
from easearch.scoring.units.unit import Unit

PARAMETRIC = ("conv", "depthwise", "grouped", "linear")
LINEAR = frozenset(
    (
        *("identity", "flatten", "reshape", "permute", "split", "concat", "stack", "expand"),
        *("channel_shuffle", "pixel_shuffle", "select", "unfold", "pad", "resample"),
    )
)
"""Kinds whose layers are linear in their inputs."""
ADDING = (operator.add, operator.iadd, torch.add, torch.ops.aten.add.Tensor, "add", "add_")
LEAVING = ("avg", "average", "mean", "sum")
CHOOSING = ("max", "min")
POOLS = ("pool", "global_pool", "adaptive_pool", "reduce")
"""Kinds whose layers are linear or choose, as their function says."""
APART = frozenset((*POOLS, "identity", "flatten"))
"""Kinds that do the same to every channel, and have no number of channels of their own."""


Chooser = tuple[
    Callable[[Tensor], tuple[Tensor, Tensor | None]],
    Callable[[Tensor, Tensor | None], Tensor],
    Callable[[Tensor, Tensor, Tensor | None], Tensor],
]
"""Call, forward and transpose of `Plain`."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a layer stands in a unit: the edges into it, and which of them begin inside."""

    sources: tuple[Edge, ...]
    inner: tuple[bool, ...]
    last: bool


def ruled(unit: Unit, layer: Layer) -> bool:
    """Whether a rule may speak for the layer: it is no module with hooks, and computes with no
    tensors but those that the graph knows of; what channels own, it alone computes with.
    """
    node, wires = unit.wires.node(layer), unit.wires
    module = wires.module(node)
    if module is not None and (module._forward_hooks or module._forward_pre_hooks):
        return False
    given = {source for source in node.all_input_nodes if source.op == "get_attr"}
    if len(given) != (0 if module is not None else len(layer.tensors)):
        return False
    paths = {wires.canonical.get(held.path) for held in layer.tensors}
    owned = paths & {slot.key for slot in unit.slots}
    users = (one for one in unit.graph.layers for held in one.tensors if held.path in owned)
    return None not in paths and all(one.name == layer.name for one in users)


def parametric(unit: Unit, layer: Layer | None, norm: Layer | None, place: Place) -> Step | None:
    """A layer and the norm behind it, or one of the two; None where there is no rule."""
    found = Scale() if layer is None else _map(unit, layer)
    eps = 0.0 if norm is None else _epsilon(unit, norm)
    if found is None or eps is None or len(place.sources) != 1:
        return None
    paths, behind = _paths(layer), _paths(norm)
    held = {
        path: unit.wires.held(path, {}).detach() for path in (*paths.values(), *behind.values())
    }
    folded = fold(paths, behind, held, eps)
    last = norm or layer
    assert last is not None
    own = {slot.key for slot in unit.slots}
    return Bilinear(
        name=last.name,
        sources=place.sources,
        inner=place.inner,
        map=found,
        fold=folded,
        weights=folded.folded({}),
        mixed=folded.needs_first(own),
        moves=folded.moves(own),
        bends=folded.moves(own),
    )


def _paths(layer: Layer | None) -> dict[str, str]:
    return {} if layer is None else {held.role: held.path for held in layer.tensors}


def _epsilon(unit: Unit, norm: Layer) -> float | None:
    """Of a batch norm with statistics of its own, in evaluation mode; else None."""
    node = unit.wires.node(norm)
    if "running_var" not in _paths(norm) or norm.out_axis != 1:
        return None
    module = unit.wires.module(node)
    if module is not None:
        return float(module.eps)  # type: ignore[arg-type]
    # The function and the operator of ATen have these two at the same places.
    given: dict[Any, Any] = {**dict(enumerate(node.args)), **node.kwargs}
    training = given.get("training", given.get(5, False))
    eps = given.get("eps", given.get(7, 1e-5))
    return float(eps) if training is False and isinstance(eps, float) else None


def simple(unit: Unit, layer: Layer, place: Place) -> Step | None:
    """A layer without parameters of the channels; None where there is no rule."""
    at: dict[str, Any] = {
        "name": layer.name,
        "sources": place.sources,
        "inner": place.inner,
    }
    number, node = len(place.sources), unit.wires.node(layer)
    if layer.kind == "activation":
        options = dict(layer.options)
        return (
            ElementwiseNonlinearity(**at, options=options, last=place.last) if number == 1 else None
        )
    multiplies = layer.kind == "mul" and "mul" in _called(unit, layer)
    if multiplies and number == 2:
        return Product(**at) if len(node.args) == 2 else None
    if any(held.path in unit.held for held in layer.tensors):
        return _scaled(unit, layer, place) if multiplies else None
    if layer.kind == "add" and number == 2 and _alike(unit, layer, place):
        return Sum(**at)
    pool = unit.wires.module(node)
    if number == 1 and type(pool) is nn.MaxPool2d and not pool.return_indices:
        call, forward, back = _maximum(pool)
        return Plain(**at, call=call, forward=forward, transpose=back)
    chosen = _chosen(unit, layer)
    if chosen is None:
        return None
    edges = place.sources

    def again(xs: Sequence[Tensor]) -> Tensor:
        return unit.replay(layer, dict(zip(edges, xs, strict=True)))

    return Replay(**at, call=again, chosen=chosen, apart=layer.kind in APART)


def _scaled(unit: Unit, layer: Layer, place: Place) -> Step | None:
    """A number a channel, as a parameter of the model's."""
    (held,) = layer.tensors
    assert len(place.sources) == 1
    scale = fold({"weight": held.path}, {}, {held.path: unit.held[held.path]}, 0.0)
    if unit.held[held.path].numel() != unit.graph.channels(layer.writes):
        return None
    return Bilinear(
        name=layer.name,
        sources=place.sources,
        inner=place.inner,
        map=Scale(layer.out_axis),
        fold=scale,
        weights=scale.folded({}),
    )


def _map(unit: Unit, layer: Layer) -> Map | None:
    options, shape = dict(layer.options), unit.graph.shape(layer.name)
    if layer.kind == "linear":
        return Matrix()
    if "around" in options:  # it is not padded with zeros
        return None
    each: int = options["each"] if "each" in options else shape.in_channels
    return convolution(options, shape.in_channels // each)


def _called(unit: Unit, layer: Layer) -> str:
    """What the layer's call is named: a function, a method, a module's type."""
    node = unit.wires.node(layer)
    module = unit.wires.module(node)
    if module is not None:
        return type(module).__name__.lower()
    target: Any = node.target
    if isinstance(target, str):
        return target
    return str(getattr(target, "__name__", target))


def _alike(unit: Unit, layer: Layer, place: Place) -> bool:
    """Whether two tensors of one shape are added, as they are."""
    node = unit.wires.node(layer)
    if node.target not in ADDING or len(node.args) != 2 or node.kwargs:
        return False
    one, other = (unit.graph.by_name[source] for source, _ in place.sources)
    return _size(unit.graph, one) == _size(unit.graph, other)


def _size(graph: Graph, layer: Layer) -> tuple[int, ...]:
    shape = graph.shape(layer.name)
    if not layer.writes:
        return shape.out_size
    before = layer.out_axis - 1
    return (*shape.out_size[:before], shape.out_channels, *shape.out_size[before:])


def _chosen(unit: Unit, layer: Layer) -> bool | None:
    """Whether a batch chooses the linear map that a layer is; None if it may not be one."""
    node, name = unit.wires.node(layer), _called(unit, layer)
    if layer.kind in ("add", "mul"):
        first = isinstance(node.args[0], torch.fx.Node)
        divides = layer.kind == "mul" and "mul" not in name and not first
        several = layer.kind == "mul" and len(unit.sources(layer)) != 1
        return None if divides or several else False
    if layer.kind in POOLS:
        name = str(dict(layer.options).get("function", name))
        if any(word in name for word in CHOOSING):
            return True
        return False if any(word in name for word in LEAVING) else None
    return False if layer.kind in LINEAR else None


def _maximum(pool: nn.MaxPool2d) -> Chooser:
    def call(x: Tensor) -> tuple[Tensor, Tensor | None]:
        value, places = F.max_pool2d(
            x,
            pool.kernel_size,
            pool.stride,
            pool.padding,
            pool.dilation,
            pool.ceil_mode,
            return_indices=True,
        )
        return value, places

    def forward(x: Tensor, places: Tensor | None) -> Tensor:
        assert places is not None
        return x.flatten(2).gather(2, places.flatten(2)).view(places.shape)

    def back(g: Tensor, x: Tensor, places: Tensor | None) -> Tensor:
        assert places is not None
        flat = g.new_zeros(x.shape).flatten(2)
        return flat.scatter_add_(2, places.flatten(2), g.flatten(2)).view(x.shape)

    return call, forward, back

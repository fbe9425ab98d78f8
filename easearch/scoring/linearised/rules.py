"""The rules: how a layer of each kind is written as a step; what has none is left to automatic
differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easearch.graph import Layer
from easearch.scoring.capture import Edge
from easearch.scoring.linearised.bilinear import Bilinear
from easearch.scoring.linearised.fold import fold
from easearch.scoring.linearised.maps import Map, Matrix, Scale, convolution
from easearch.scoring.linearised.steps import Bend, Plain, Step, Sum

Linear = tuple[
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


def ruled(model: nn.Module, layer: Layer) -> bool:
    """Whether a rule may speak for the layer: its module is called once, and without hooks."""
    if "@" in layer.name:
        return False
    module = dict(model.named_modules()).get(layer.name)
    return module is None or not (module._forward_hooks or module._forward_pre_hooks)


def parametric(
    model: nn.Module, layer: Layer | None, norm: Layer | None, place: Place, own: Collection[str]
) -> Step | None:
    """A layer and the norm behind it, or one of the two; None where there is no rule."""
    names = tuple("" if one is None else one.name for one in (layer, norm))
    if norm is not None and getattr(model.get_submodule(norm.name), "running_var", None) is None:
        return None
    found = Scale() if layer is None else _map(layer, model.get_submodule(layer.name))
    if found is None:
        return None
    folded = fold(model, *names)
    return Bilinear(
        name=names[1] or names[0],
        sources=place.sources,
        inner=place.inner,
        map=found,
        fold=folded,
        weights=folded.folded({}),
        mixed=folded.needs_first(own),
    )


def simple(model: nn.Module, layer: Layer, place: Place) -> Step | None:
    """A layer without parameters; None where there is no rule."""
    at: dict[str, Any] = {
        "name": layer.name,
        "sources": place.sources,
        "inner": place.inner,
    }
    options = dict(layer.options)
    if layer.kind == "add":
        return Sum(**at) if len(place.sources) == 2 else None
    if len(place.sources) != 1:
        return None
    if layer.kind == "activation":
        return Bend(**at, function=options["function"], last=place.last)
    linear = _linear(model, layer, options)
    if linear is None:
        return None
    call, forward, transpose = linear
    return Plain(**at, call=call, forward=forward, transpose=transpose)


def _map(layer: Layer, module: nn.Module) -> Map | None:
    if layer.kind == "linear":
        return Matrix()
    return convolution(dict(layer.options), module, layer.kind == "depthwise")


def _linear(model: nn.Module, layer: Layer, options: Mapping[str, Any]) -> Linear | None:
    if layer.kind == "identity":
        return _same(lambda x: x, lambda g, x: g)
    if layer.kind == "flatten":
        return _same(lambda x: x.flatten(1), lambda g, x: g.reshape(x.shape))
    if layer.kind == "global_pool":
        return _mean(keep=layer.out_size != ())
    if layer.kind != "pool":
        return None
    pool = model.get_submodule(layer.name)
    return _maximum(pool) if options["function"] == "max" else _average(pool)


def _same(forward: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]) -> Linear:
    """A map that no batch decides on."""
    return (lambda x: (forward(x), None), lambda x, _: forward(x), lambda g, x, _: back(g, x))


def _mean(keep: bool) -> Linear:
    def back(g: Tensor, x: Tensor) -> Tensor:
        spread = g.reshape(*x.shape[:2], 1, 1) / (x.shape[2] * x.shape[3])
        return spread.expand(x.shape)

    return _same(lambda x: x.mean((2, 3), keepdim=keep), back)


def _average(pool: nn.Module) -> Linear:
    assert isinstance(pool, nn.AvgPool2d)

    def back(g: Tensor, x: Tensor) -> Tensor:
        # `x` is a shape without memory. The transpose of a linear map at any point is its own.
        with torch.enable_grad():
            at = torch.zeros_like(x, memory_format=torch.contiguous_format).requires_grad_()
            (found,) = torch.autograd.grad(pool.forward(at), at, g)
        return found

    return _same(pool.forward, back)


def _maximum(pool: nn.Module) -> Linear:
    assert isinstance(pool, nn.MaxPool2d)

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

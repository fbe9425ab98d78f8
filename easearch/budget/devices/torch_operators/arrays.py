"""Rules for what moves numbers and changes none: shapes, parts, places."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor

from easearch.budget.devices.torch_operators.node import Function, Node, Rule


def _reshape(node: Node) -> Function:
    sizes = node.numbers(1) or []
    if not node.attribute("allowzero", 0):
        sizes = [node.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return lambda x: x.reshape(sizes)


def _flatten(node: Node) -> Function:
    axis = node.attribute("axis", 1)
    at = axis + len(node.shape) if axis < 0 else axis
    sizes = (math.prod(node.shape[:at]), math.prod(node.shape[at:]))
    return lambda x: x.reshape(sizes)


def _squeeze(node: Node) -> Function:
    axes = node.axes()
    if axes is None:
        return torch.squeeze
    return lambda x: torch.squeeze(x, axes)


def _unsqueeze(node: Node) -> Function:
    over = node.axes() or []
    axes = sorted(axis % (len(node.shape) + len(over)) for axis in over)
    return lambda x: functools.reduce(torch.unsqueeze, axes, x)


def _transpose(node: Node) -> Function:
    order = node.attribute("perm", list(reversed(range(len(node.shape)))))
    return lambda x: x.permute(order)


def _expand(node: Node) -> Function:
    sizes = np.broadcast_shapes(node.shape, tuple(node.numbers(1) or []))
    return lambda x: x.expand(sizes)


def _tile(node: Node) -> Function:
    times = node.numbers(1)
    return lambda x: x.repeat(times)


def _slice(node: Node) -> Function:
    starts, ends = node.numbers(1) or [], node.numbers(2) or []
    axes = node.numbers(3) or range(len(starts))
    steps = node.numbers(4) or [1] * len(starts)
    parts = [slice(None)] * len(node.shape)
    for axis, *part in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(*part)
    if min(steps, default=1) < 0:
        return _backwards(node, parts)
    # The end of an axis is often written as a number beyond it, which torch warns of.
    index = tuple(slice(*one.indices(size)) for one, size in zip(parts, node.shape, strict=True))
    return lambda x: x[index]


def _backwards(node: Node, parts: list[slice]) -> Function:
    """torch has no negative steps: the places are listed."""
    found = [list(range(size)[part]) for size, part in zip(node.shape, parts, strict=True)]
    places = [torch.tensor(one, dtype=torch.int64, device=_device(node)) for one in found]

    def run(x: Tensor) -> Tensor:
        for axis, place in enumerate(places):
            x = x.index_select(axis, place)
        return x

    return run


def _device(node: Node) -> torch.device:
    value = node.values[0]
    return torch.device("cpu") if value is None else value.device


def _concat(node: Node) -> Function:
    axis = node.axis(0)
    return lambda *tensors: torch.cat(tensors, axis)


def _split(node: Node) -> Function:
    axis, sizes = node.axis(0), node.numbers(1)
    number = node.attribute("num_outputs", node.outputs)
    if sizes is None:
        whole = node.shape[axis]
        each = -(-whole // number)
        sizes = [max(0, min(each, whole - i * each)) for i in range(number)]
    return lambda x: torch.split(x, sizes, axis)


def _gather(node: Node) -> Function:
    axis = node.axis(0)
    if node.known[1] and not node.shape_of(1):
        place = node.number(1)
        return lambda x, _: x.select(axis, place)
    before = (slice(None),) * axis
    return lambda x, places: x[(*before, places)]


def _gather_elements(node: Node) -> Function:
    axis = node.axis(0)
    size = node.shape[axis]
    return lambda x, places: torch.gather(x, axis, torch.remainder(places, size))


def _gather_nd(node: Node) -> Function:
    node.only("batch_dims", 0)
    return lambda x, places: x[tuple(places.unbind(-1))]


def _scatter_nd(node: Node) -> Function:
    node.only("reduction", "none")

    def run(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
        return x.index_put(tuple(places.unbind(-1)), values)

    return run


def _top(node: Node) -> Function:
    many, axis = node.number(1), node.axis(-1)
    largest, ordered = bool(node.attribute("largest", 1)), bool(node.attribute("sorted", 1))
    return lambda x: tuple(torch.topk(x, many, axis, largest, ordered))


def _depth_to_space(node: Node) -> Function:
    size, mode = node.attribute("blocksize"), node.attribute("mode", "DCR")
    if mode == "CRD":
        return lambda x: torch.pixel_shuffle(x, size)
    n, c, h, w = node.shape
    apart, whole = (n, size, size, c // size**2, h, w), (n, c // size**2, h * size, w * size)
    return lambda x: x.reshape(apart).permute(0, 3, 4, 1, 5, 2).reshape(whole)


def _space_to_depth(node: Node) -> Function:
    size, mode = node.attribute("blocksize"), node.attribute("mode", "DCR")
    if mode == "CRD":
        return lambda x: torch.pixel_unshuffle(x, size)
    n, c, h, w = node.shape
    apart, whole = (n, c, h // size, size, w // size, size), (n, c * size**2, h // size, w // size)
    return lambda x: x.reshape(apart).permute(0, 3, 5, 1, 2, 4).reshape(whole)


# --- made of no tensor: the same at every run


def _shape(node: Node) -> Function:
    part = slice(node.attribute("start", 0), node.attribute("end"))
    found = torch.tensor(node.shape[part], dtype=torch.int64)
    return lambda: found


def _size(node: Node) -> Function:
    found = torch.tensor(math.prod(node.shape))
    return lambda: found


def _constant(node: Node) -> Function:
    ((name, value),) = node.attributes.items()
    node.read.add(name)
    if name == "value":
        found = stored(value)
    elif name in ("value_float", "value_floats"):
        found = torch.tensor(value, dtype=torch.float32)
    elif name in ("value_int", "value_ints"):
        found = torch.tensor(value, dtype=torch.int64)
    else:
        raise node.refused(name)
    return lambda: found


def _filled(node: Node) -> Function:
    value = node.attribute("value")
    one = torch.zeros(1) if value is None else stored(value)
    found = one.expand(node.numbers(0) or ()).clone() if node.shape != (0,) else one.reshape(())
    return lambda: found


def _range(node: Node) -> Function:
    first, last, step = (node.number(place) for place in range(3))
    kind = None if node.values[0] is None else node.values[0].dtype
    found = torch.arange(first, last, step, dtype=kind)
    return lambda: found


def stored(tensor: Any) -> Tensor:
    """A tensor that a model holds, on the CPU.

    Raises:
        TypeError: torch has no such numbers.
    """
    return torch.from_numpy(numpy_helper.to_array(tensor).copy())


RULES: dict[str, Rule] = {
    "Concat": Rule(make=_concat),
    "Constant": Rule(make=_constant, tensors=0),
    "ConstantOfShape": Rule(make=_filled, tensors=0),
    "DepthToSpace": Rule(make=_depth_to_space),
    "Expand": Rule(make=_expand, tensors=1),
    "Flatten": Rule(make=_flatten),
    "Gather": Rule(make=_gather),
    "GatherElements": Rule(make=_gather_elements),
    "GatherND": Rule(make=_gather_nd),
    "Range": Rule(make=_range, tensors=0),
    "Reshape": Rule(make=_reshape, tensors=1),
    "ScatterND": Rule(make=_scatter_nd),
    "Shape": Rule(make=_shape, tensors=0),
    "Size": Rule(make=_size, tensors=0),
    "Slice": Rule(make=_slice, tensors=1),
    "SpaceToDepth": Rule(make=_space_to_depth),
    "Split": Rule(make=_split, tensors=1),
    "Squeeze": Rule(make=_squeeze, tensors=1),
    "Tile": Rule(make=_tile, tensors=1),
    "TopK": Rule(make=_top, tensors=1),
    "Transpose": Rule(make=_transpose),
    "Unsqueeze": Rule(make=_unsqueeze, tensors=1),
}

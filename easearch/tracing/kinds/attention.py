"""Attention: values averaged by how queries meet keys."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, axis_of, one_sample

WHY = "attention heads keep their width"


class DotProductAttention(Kind):
    """`softmax(q k' / sqrt(width)) v` over the last two axes; the heads stand before them.

    Nothing is known of the channels of the result.
    """

    name = "dot_product_attention"
    role = Role.MIXES
    functions: ClassVar = dict.fromkeys(
        (
            F.scaled_dot_product_attention,
            torch.ops.aten.scaled_dot_product_attention.default,
        ),
        ("query", "key", "value", "attn_mask"),
    )

    def accepts(self, call: Call) -> bool:
        """Three tensors with samples in front."""
        return len(call.values) >= 3 and len(call.out_shape) > 2

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Freezes what comes in."""
        return _frozen(call, layouts)

    def options(self, call: Call) -> dict[str, Any]:
        """Positions that ask and that are asked, the width of a head, and that of its values."""
        query, key, value = (one.shape for one in call.values[:3])
        return {
            "heads": math.prod(one_sample(query, call.batch)[:-2]),
            "queries": query[-2],
            "sources": key[-2],
            "width": query[-1],
            "value_width": value[-1],
            "operands": tuple(one_sample(size, call.batch) for size in (query, key, value)),
        }

    def macs(self, shape: Shape) -> int:
        """Scores and averages: heads x queries x sources x (width + width of the values)."""
        pairs = shape["heads"] * shape["queries"] * shape["sources"]
        return int(pairs * (shape["width"] + shape["value_width"]))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Two MatMuls, with a Softmax between."""
        dims = len(shape["operands"][1])
        turned = (*range(dims - 2), dims - 1, dims - 2)
        return (
            Op(type="Transpose", inputs=("x1",), attributes=(("perm", turned),)),
            Op(type="MatMul", inputs=("x", "0")),
            Op(type="Mul", inputs=("1",), scalars=(shape["width"] ** -0.5,)),
            Op(type="Softmax", inputs=("2",), attributes=(("axis", -1),)),
            Op(type="MatMul", inputs=("3", "x2")),
        )


class MultiheadAttention(Kind):
    """torch's own module: projections, heads, and a projection back. All of its widths stay."""

    name = "multihead_attention"
    role = Role.MIXES
    modules = (nn.MultiheadAttention,)

    def accepts(self, call: Call) -> bool:
        """The first result, of batches; the weights of the average are another matter."""
        return call.piece == 0 and len(call.out_shape) == 3 and len(call.values) >= 3

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Freezes what comes in and writes a group that cannot change."""
        frozen = _frozen(call, layouts)
        last = len(call.out_shape) - 1
        return Through(
            reads=frozen.reads,
            in_axis=frozen.in_axis,
            axis=last,
            writes=layouts.begin(call.out_shape[last], WHY),
        )

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """Its parameters, along no axis, since no channel changes."""
        assert call.module is not None
        return tuple(
            Held(role=name, path=f"{call.path}.{name}")
            for name, _ in call.module.named_parameters()
        )

    def options(self, call: Call) -> dict[str, Any]:
        """Positions that ask and that are asked, widths, heads and numbers that are trained."""
        module = call.module
        assert isinstance(module, nn.MultiheadAttention)
        place = 1 if module.batch_first else 0
        added = int(module.bias_k is not None) + int(module.add_zero_attn)
        queries, keys = call.values[0].shape[place], call.values[1].shape[place]
        return {
            "queries": queries,
            "given": keys,
            "sources": keys + added,
            "width": module.embed_dim,
            "key_width": module.kdim or module.embed_dim,
            "value_width": module.vdim or module.embed_dim,
            "heads": module.num_heads,
            "batch_first": module.batch_first,
            "params": sum(one.numel() for one in module.parameters()),
            "operands": tuple(
                one_sample(one.shape, call.batch, 1 - place) for one in call.values[:3]
            ),
        }

    def macs(self, shape: Shape) -> int:
        """Four projections, scores and averages."""
        wide, queries, given = shape["width"], shape["queries"], shape["given"]
        projected = 2 * queries * wide + given * (shape["key_width"] + shape["value_width"])
        return int(_rows(shape) * wide * (projected + 2 * queries * shape["sources"]))

    def params(self, shape: Shape) -> int:
        """All that the module has."""
        return int(shape["params"])

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """Projections, heads apart, attention, heads together, the projection back."""
        wide, heads = shape["width"], shape["heads"]
        first = (0, 1, 2) if shape["batch_first"] else (1, 0, 2)
        found: list[Op] = []
        names = zip(("x", "x1", "x2"), ("width", "key_width", "value_width"), strict=True)
        for (name, width), places in zip(names, ("queries", "given", "given"), strict=True):
            at = len(found)
            apart = (_rows(shape), shape[places], heads, wide // heads)
            turned = (0, 2, 3, 1) if name == "x1" else (0, 2, 1, 3)
            found += [
                Op(type="Transpose", inputs=(name,), attributes=(("perm", first),)),
                Op(type="MatMul", inputs=(str(at),), weights=((shape[width], wide),)),
                Op(type="Add", inputs=(str(at + 1),), weights=((wide,),)),
                Op(type="Reshape", inputs=(str(at + 2),), integers=(apart,)),
                Op(type="Transpose", inputs=(str(at + 3),), attributes=(("perm", turned),)),
            ]
        return (
            *found,
            Op(type="MatMul", inputs=("4", "9")),
            Op(type="Mul", inputs=("15",), scalars=((wide // heads) ** -0.5,)),
            Op(type="Softmax", inputs=("16",), attributes=(("axis", -1),)),
            Op(type="MatMul", inputs=("17", "14")),
            Op(type="Transpose", inputs=("18",), attributes=(("perm", (0, 2, 1, 3)),)),
            Op(type="Reshape", inputs=("19",), integers=((_rows(shape), shape["queries"], wide),)),
            Op(type="MatMul", inputs=("20",), weights=((wide, wide),)),
            Op(type="Add", inputs=("21",), weights=((wide,),)),
            Op(type="Transpose", inputs=("22",), attributes=(("perm", first),)),
        )


def _rows(shape: Shape) -> int:
    """Sequences of one sample."""
    return int(shape["operands"][0][0 if shape["batch_first"] else 1])


def _frozen(call: Call, layouts: Layouts) -> Through:
    for value in call.values:
        layouts.freeze(value.layout, WHY)
    first = call.values[0]
    return Through(reads=first.layout, in_axis=axis_of(first), axis=None, writes=())

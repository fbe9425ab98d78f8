"""Means over all positions, written as the global average pooling that they are.

torch's exporter spells them ReduceMean, which leaves the layout that ONNX Runtime keeps maps in,
and which its quantizer does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import helper, numpy_helper, shape_inference


def pool_globally(model: Any) -> None:
    """Replace ReduceMean over every axis behind the channels by GlobalAveragePool, in place."""
    graph = model.graph
    ranks = _ranks(model)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        axes = _axes(node, constants, ranks) if node.op_type == "ReduceMean" else []
        nodes += _pooled(node) if axes else [node]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input} | {out.name for out in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _ranks(model: Any) -> dict[str, int]:
    graph = shape_inference.infer_shapes(model).graph
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info)
        if value.type.tensor_type.HasField("shape")
    }


def _axes(node: Any, constants: Mapping[str, Any], ranks: Mapping[str, int]) -> list[int]:
    """The axes of a mean over all positions of a map; none where it is another mean."""
    if len(node.input) < 2 or node.input[1] not in constants or node.input[0] not in ranks:
        return []
    rank = ranks[node.input[0]]
    axes = sorted(int(a) % rank for a in numpy_helper.to_array(constants[node.input[1]]).ravel())
    return axes if rank > 2 and axes == list(range(2, rank)) else []


def _pooled(node: Any) -> list[Any]:
    (source, axes), (target,) = node.input, node.output
    name = node.name or target
    keeps = all(a.i for a in node.attribute if a.name == "keepdims")
    pooled = target if keeps else f"{target}/pooled"
    made = [helper.make_node("GlobalAveragePool", [source], [pooled], name=name)]
    if not keeps:
        made.append(helper.make_node("Squeeze", [pooled, axes], [target], name=f"{name}/squeezed"))
    return made

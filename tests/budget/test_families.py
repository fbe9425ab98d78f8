"""Every family: it runs in ONNX Runtime with the shapes that its graph says, or is refused with the
reason; files and graphs are counted alike.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from families import FAMILIES, inputs

from easearch.budget import find_meter, kernels, measure
from easearch.budget.devices.runner import open_session, random_inputs
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.kernels import does_nothing, shapes_of
from easearch.budget.latency.models import input_shapes, item_model, whole_model
from easearch.errors import DeviceError
from easearch.graph import Graph
from easearch.tracing import trace
from easearch.tracing.walk import INPUT, OPAQUE

INNER = {"dot_product_attention", "multihead_attention"}
"""Kinds of several products: a file shows the values between them, a graph does not."""


@cache
def graph_of(name: str) -> Graph:
    return trace(FAMILIES[name].build().double(), inputs(FAMILIES[name], 1))


def opaque(graph: Graph) -> list[str]:
    return [layer.name for layer in graph.layers if layer.kind == OPAQUE]


def every_value(model: bytes) -> dict[str, Any]:
    """What each operator gives, by its name."""
    proto: Any = onnx.load_from_string(model)
    names = [name for node in proto.graph.node for name in node.output]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(proto.SerializeToString())
    return dict(zip(names, session.run(names, random_inputs(session)), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_runs_and_gives_the_shape_that_the_graph_says(family: str) -> None:
    graph = graph_of(family)
    if opaque(graph):
        with pytest.raises(DeviceError, match=r"the latency of '.*' cannot be measured: "):
            whole_model(graph)
        return
    values = every_value(whole_model(graph))
    seen = 0
    for layer in graph.layers:
        made = [n for n in values if n.rpartition("/")[0] == layer.name]
        if made:
            last = max(made, key=lambda name: float(name.rpartition("/")[2]))
            assert values[last].shape == graph.shape(layer.name).out_shape, layer.name
            assert np.isfinite(values[last]).all(), layer.name
            seen += 1
    assert seen >= sum(
        layer.kind not in (INPUT, "batch_norm") and not does_nothing(graph.shape(layer.name))
        for layer in graph.layers
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_item_runs_alone(family: str) -> None:
    graph = graph_of(family)
    if opaque(graph):
        pytest.skip(f"easearch cannot follow {opaque(graph)[0]}")
    distinct = {shapes_of(graph, item) for item in kernels(graph)}
    for shapes in distinct:
        if shapes[0].kind != INPUT:
            session = open_session(item_model(shapes))
            (output,) = session.run(None, random_inputs(session))
            assert output.shape == shapes[-1].out_shape


@pytest.mark.parametrize("family", FAMILIES)
def test_file_and_graph_are_counted_alike(family: str, tmp_path: Path) -> None:
    graph = graph_of(family)
    kinds = {layer.kind for layer in graph.layers}
    if opaque(graph):
        pytest.skip(f"easearch cannot follow {opaque(graph)[0]}")
    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(graph))
    file = OnnxFile(path)
    assert file.macs() == find_meter("macs").cost(graph).total
    # An instance norm with statistics is a batch norm in the file, and there works in place.
    if not kinds & (INNER | {"instance_norm"}):
        assert file.memory() == (find_meter("memory").cost(graph).total, "")


@pytest.mark.parametrize("family", FAMILIES)
def test_all_is_measured_or_said_not_to_be(family: str) -> None:
    graph = graph_of(family)
    table = measure(graph, meters=["macs", "params", "memory"])
    for name in table:
        assert table.uncounted[name] == (() if name == "params" else tuple(opaque(graph)))
        assert table[name].total > 0
    for layer in opaque(graph):
        assert layer in str(table)


@pytest.mark.parametrize("family", ["glu", "grouped", "concat", "channels_last_linear"])
def test_latency_of_what_is_no_chain_of_convolutions(family: str) -> None:
    cost = measure(graph_of(family), meters=["latency"])["latency"]
    assert cost.total > 0
    free = ("input", "reshape", "flatten", "identity")
    for layer in graph_of(family).layers:
        if layer.kind in free:
            assert cost.rows[layer.name] == 0


def test_a_concatenation_alone_has_equal_shares_and_in_its_network_the_real_ones() -> None:
    graph = graph_of("concat")
    name = next(layer.name for layer in graph.layers if layer.kind == "concat")
    real = [graph.shape(source).out_shape for source in graph.by_name[name].inputs]
    alone = input_shapes(graph.shape(name))
    assert len(alone) == len(real)
    assert sum(size[1] for size in alone) == sum(size[1] for size in real)
    assert max(size[1] for size in alone) - min(size[1] for size in alone) <= 1
    assert real[0][1] != real[1][1]

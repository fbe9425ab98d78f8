"""The ONNX operators of a layer compute what torch computes, where no weights are drawn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from examples import EXAMPLES
from onnx import TensorProto, helper, numpy_helper
from spellings import LAYERS, PADDED
from torch import nn

import easearch as ea
from easearch.tracing import KINDS, Op


def built(ops: tuple[Op, ...], sizes: list[tuple[int, ...]], out: int) -> bytes:
    """A model of one layer's operators on inputs x, x1, ..."""
    ins = [f"x{number or ''}" for number in range(len(sizes))]
    nodes, weights = [], []
    for number, op in enumerate(ops):
        arrays: list[Any] = [np.zeros(size, np.float32) for size in op.weights]
        arrays += [np.float32(scalar) for scalar in op.scalars]
        arrays = [np.asarray(array, np.float32) for array in arrays]
        arrays += [np.asarray(numbers, np.int64) for numbers in op.integers]
        names = [f"{number}:{place}" for place in range(len(arrays))]
        weights += [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
        sources = [key if key.startswith("x") or not key else f"o{key}" for key in op.inputs]
        attributes = {k: list(v) if isinstance(v, tuple) else v for k, v in op.attributes}
        made = [f"o{number}", *(f"o{number}.{more}" for more in range(1, op.outputs))]
        nodes.append(helper.make_node(op.type, sources + names, made, **attributes))
    graph = helper.make_graph(
        nodes,
        "layer",
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
            for n, s in zip(ins, sizes, strict=True)
        ],
        [helper.make_tensor_value_info(f"o{len(ops) - 1}", TensorProto.FLOAT, [None] * out)],
        weights,
    )
    opset = helper.make_opsetid("", 20)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString())


EXACT = [
    case
    for case in LAYERS | PADDED
    # A deviation is of the samples, an export of all; a root of a negative number is no number.
    if not case.startswith(("reduce: std", "reduce: var"))
]


@pytest.mark.parametrize("case", EXACT)
def test_operators_compute_what_torch_computes(case: str) -> None:
    size, spelled = (LAYERS | PADDED)[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(spelled[0]()).eval()
        one = (1, *size[1:])
        graph = ea.trace(model, torch.zeros(one))
        (layer,) = [layer for layer in graph.layers if layer.kind == case.split(":")[0].split()[0]]
        shape = graph.shape(layer.name)
        ops = KINDS[layer.kind].ops(shape)
        x = torch.rand(one, generator=torch.Generator().manual_seed(0)) + 0.1
        expected = model(x.clone())
    used = {key for op in ops for key in op.inputs if key.startswith("x")}
    given = sorted(used)
    session = onnxruntime.InferenceSession(built(ops, [one] * len(given), expected.dim()))
    (out,) = session.run(None, dict.fromkeys(given, x.numpy()))
    assert out.shape == expected.shape
    assert out.shape == shape.out_shape
    # ONNX smooths with other windows than torch where the ratio of the sizes is no whole number.
    if not any(op.weights for op in ops) and case != "resample: smoothed":
        assert torch.allclose(torch.from_numpy(out), expected, atol=1e-5)


@pytest.mark.parametrize("number", range(len(EXAMPLES["multihead_attention"])))
def test_attention_takes_three_inputs_and_gives_its_shape(number: int) -> None:
    build, size = EXAMPLES["multihead_attention"][number]
    graph = ea.trace(nn.Sequential(build()).eval(), torch.zeros(size))
    (layer,) = [layer for layer in graph.layers if layer.kind == "multihead_attention"]
    shape = graph.shape(layer.name)
    session = onnxruntime.InferenceSession(
        built(KINDS[layer.kind].ops(shape), list(shape["operands"]), 3)
    )
    names = ("x", "x1", "x2")
    inputs = {n: np.zeros(s, np.float32) for n, s in zip(names, shape["operands"], strict=True)}
    assert session.run(None, inputs)[0].shape == shape["operands"][0]

"""Recurrent cells over a sequence: torch's GRU, LSTM and RNN. All of their widths stay."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from easearch.graph import Held, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through, axis_of, one_sample

WHY = "recurrent cells keep their width"
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


class Recurrent(Kind):
    """What a cell gives for every step (its first result), or its last state.

    Of several results of one call the first that is used is billed for the whole of it.
    """

    name = "recurrent"
    role = Role.MIXES
    modules = (nn.GRU, nn.LSTM, nn.RNN)

    def accepts(self, call: Call) -> bool:
        """A result of a batch of sequences; projections are another matter."""
        module = call.module
        assert isinstance(module, nn.RNNBase)
        sequences = bool(call.values) and len(call.values[0].shape) == 3
        return call.piece is not None and sequences and not module.proj_size

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Freezes what comes in; the steps' channels are a group that cannot change."""
        for value in call.values:
            layouts.freeze(value.layout, WHY)
        first, last = call.values[0], len(call.out_shape) - 1
        reads, at = first.layout, axis_of(first)
        if call.piece:
            return Through(reads=reads, in_axis=at, axis=None, writes=())
        writes = layouts.begin(call.out_shape[last], WHY)
        return Through(reads=reads, in_axis=at, axis=last, writes=writes)

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """Its parameters, along no axis, since no channel changes."""
        assert call.module is not None
        names = (name for name, _ in call.module.named_parameters())
        return tuple(Held(role=name, path=f"{call.path}.{name}") for name in names)

    def options(self, call: Call) -> dict[str, Any]:
        """Widths, layers, directions; which result it is, and whether it is billed."""
        module, shape = call.module, call.values[0].shape
        assert isinstance(module, nn.RNNBase)
        return {
            "cell": type(module).__name__,
            "inputs": shape[2],
            "hidden": module.hidden_size,
            "layers": module.num_layers,
            "directions": 2 if module.bidirectional else 1,
            "batch_first": module.batch_first,
            "bias": module.bias,
            "piece": call.piece,
            "billed": call.first,
            "operands": (one_sample(shape, call.batch, 0 if module.batch_first else 1),),
        }

    def macs(self, shape: Shape) -> int:
        """Every gate of every step of every sequence reads the inputs and the state before."""
        if not shape["billed"]:
            return 0
        (sequences,) = shape["operands"]
        return int(math.prod(sequences[:2]) * _weights(shape))

    def params(self, shape: Shape) -> int:
        """Weights of inputs and states, and two biases a gate."""
        gates = GATES[shape["cell"]] * shape["hidden"] * shape["layers"] * shape["directions"]
        return int(_weights(shape) + (2 * gates if shape["bias"] else 0))

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """A GRU or LSTM a layer; none of an RNN, which torch exports step by step."""
        if shape["cell"] == "RNN":
            return ()
        if not shape["billed"]:
            return _one_number("x", (), shape)
        turned = (1, 0, 2)
        ops: list[Op] = []
        if shape["batch_first"]:
            ops.append(Op(type="Transpose", attributes=(("perm", turned),)))
        for layer in range(shape["layers"]):
            ops += _layer(shape, layer, len(ops))
        if shape["piece"]:
            return _one_number(str(len(ops) - 1), tuple(ops), shape)
        if shape["batch_first"]:
            source = (str(len(ops) - 1),)
            ops.append(Op(type="Transpose", inputs=source, attributes=(("perm", turned),)))
        return tuple(ops)


def _weights(shape: Shape) -> int:
    """Numbers of all weights, biases left out."""
    hidden, directions = shape["hidden"], shape["directions"]
    reads = shape["inputs"] + (shape["layers"] - 1) * directions * hidden
    states = shape["layers"] * hidden
    return int(GATES[shape["cell"]] * hidden * directions * (reads + states))


def _layer(shape: Shape, layer: int, at: int) -> tuple[Op, ...]:
    """One layer, steps x directions x sequences x hidden, then with one axis of columns."""
    hidden, directions, gates = shape["hidden"], shape["directions"], GATES[shape["cell"]]
    reads = shape["inputs"] if layer == 0 else directions * hidden
    rows = gates * hidden
    weights: tuple[tuple[int, ...], ...] = ((directions, rows, reads), (directions, rows, hidden))
    reset = (("linear_before_reset", 1),) if shape["cell"] == "GRU" else ()
    return (
        Op(
            type=shape["cell"],
            inputs=("x",) if at == 0 else (str(at - 1),),
            weights=(*weights, (directions, 2 * rows)) if shape["bias"] else weights,
            attributes=(
                ("hidden_size", hidden),
                ("direction", "bidirectional" if directions == 2 else "forward"),
                *reset,
            ),
        ),
        Op(type="Transpose", inputs=(str(at),), attributes=(("perm", (0, 2, 1, 3)),)),
        Op(type="Reshape", inputs=(str(at + 1),), integers=((0, 0, directions * hidden),)),
    )


def _one_number(source: str, ops: tuple[Op, ...], shape: Shape) -> tuple[Op, ...]:
    """One number of a value, spread: a last state is small beside the steps that it comes from."""
    at = len(ops)
    return (
        *ops,
        Op(type="Reshape", inputs=(source,), integers=((-1,),)),
        Op(type="Slice", inputs=(str(at),), integers=((0,), (1,), (0,))),
        Op(type="Expand", inputs=(str(at + 1),), integers=(shape.out_shape,)),
    )

"""Recurrent cells: GRU and LSTM, whose gates torch keeps in another order than ONNX."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from easearch.budget.devices.torch_operators.node import Function, Node, Rule

ORDERS = {"GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}
"""Where each of torch's gates stands in ONNX."""


def _recurrent(node: Node) -> Function:
    """(steps, samples, inputs) to (steps, directions, samples, hidden), from a state of zeros."""
    directions = {"forward": 1, "bidirectional": 2}.get(node.attribute("direction", "forward"))
    if directions is None or any(map(node.given, range(4, len(node.values)))):
        raise node.refused("lengths, a state to begin with, or one direction backwards")
    node.only("layout", 0)
    if node.type == "GRU":
        node.only("linear_before_reset", 1)
    hidden, biased = node.attribute("hidden_size"), node.given(3)
    if not all(node.known[1:4]):
        raise node.refused("weights computed from the model's input")
    weights = _weights(node, directions, hidden)
    here = cache(lambda device: [weight.to(device) for weight in weights])
    called = torch.gru if node.type == "GRU" else torch.lstm

    def run(x: Tensor) -> Any:
        state: Any = x.new_zeros(directions, x.shape[1], hidden)
        if node.type == "LSTM":
            state = (state, state)
        steps = called(x, state, here(x.device), biased, 1, 0.0, False, directions == 2, False)[0]
        return steps.view(*steps.shape[:2], directions, hidden).transpose(1, 2)

    return run


def _weights(node: Node, directions: int, hidden: int) -> list[Tensor]:
    """In torch's order: of inputs, of states, and both biases, a direction after the other."""
    found = []
    for direction in range(directions):
        rows = [value[direction] for value in node.values[1:3] if value is not None]
        if node.given(3):
            rows += node.values[3][direction].chunk(2)  # type: ignore[index]
        for one in rows:
            gates = torch.split(one, hidden)
            found.append(torch.cat([gates[gate] for gate in ORDERS[node.type]]))
    return found


RULES = {name: Rule(make=_recurrent, tensors=1) for name in ORDERS}

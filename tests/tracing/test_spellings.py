"""One layer is one layer however it is written: module, function, method, or ATen operator."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from spellings import LAYERS
from torch import Tensor, nn

import easearch as ea
from easearch.graph import Graph, Layer

CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}


class Behind(nn.Module):
    """A layer behind a convolution whose channels could grow; `exports` where fx is to stumble."""

    def __init__(self, size: tuple[int, ...], layer: nn.Module, exports: bool) -> None:
        super().__init__()
        self.first = CONVOLUTIONS[len(size)](2, size[1], 1)
        self.layer, self.exports = layer, exports

    def forward(self, x: Tensor) -> Any:
        # A decision that fx refuses, and torch.export takes as it is in the sample.
        if self.exports and x.shape[1] > 1:
            return self.layer(self.first(x))
        return self.layer(self.first(x))


def traced(case: str, number: int, exports: bool) -> Graph:
    size, spelled = LAYERS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RMS norms and the like tell that they are new
        model = Behind(size, spelled[number](), exports).double().eval()
        return ea.trace(model, torch.zeros(2, 2, *size[2:], dtype=torch.float64))


def told(graph: Graph) -> list[Any]:
    """All that a graph says but for names."""
    return [
        [_told(layer) for layer in graph.layers if layer.kind not in ("input", "conv")],
        [(group.width, group.frozen) for group in graph.channel_groups],
    ]


def _told(layer: Layer) -> tuple[Any, ...]:
    held = sorted((h.role, h.rows, h.columns) for h in layer.tensors if "running" not in h.role)
    layouts = [[(s.group == "first", s.taps) for s in side] for side in (layer.reads, layer.writes)]
    axes = (layer.in_axis, layer.out_axis, layer.in_size, layer.out_size)
    return (layer.kind, layer.options, layouts, axes, held)


WAYS = [
    (case, number, exports)
    for case, (_, spelled) in LAYERS.items()
    for number in range(len(spelled))
    for exports in (False, True)
]


@pytest.mark.parametrize(("case", "number", "exports"), WAYS)
def test_every_spelling_gives_the_same_layer(case: str, number: int, exports: bool) -> None:
    first, other = traced(case, 0, exports=False), traced(case, number, exports)
    kind = case.split(":")[0].split()[0]
    assert kind in [layer.kind for layer in other.layers]
    reasons = [group.frozen or "" for group in (*first.channel_groups, *other.channel_groups)]
    assert not [why for why in reasons if "cannot follow" in why]
    if any("'layer'" in why for why in reasons):  # where a reason names the module
        reasons_apart = [[g.width for g in graph.channel_groups] for graph in (first, other)]
        assert reasons_apart[0] == reasons_apart[1]
        assert told(first)[0] == told(other)[0]
    else:
        assert told(first) == told(other)

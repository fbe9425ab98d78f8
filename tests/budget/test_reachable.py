"""What a model can reach holds whatever its growth will ask the table for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import easearch as ea
from easearch.budget.latency.calibration import paid
from easearch.budget.latency.grid import corners, moved, point
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.reachable import reachable
from easearch.models import build

REACH = 3.0


@pytest.mark.parametrize("seed", ["mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("step", [8, 16])
def test_every_network_on_the_way_is_covered(seed: str, step: int) -> None:
    graph = ea.trace(build(seed, width=0.5, channels=3).eval(), torch.zeros(1, 3, 32, 32))
    known = set(reachable(graph, step, REACH))
    draw = np.random.default_rng(0)
    for _ in range(20):
        widths = {}
        for group in graph.growable:
            on_step = range(-(-group.width // step) * step, int(REACH * group.width), step)
            widths[group.name] = draw.choice([group.width, *on_step])
        net = graph.with_widths({name: int(width) for name, width in widths.items()})
        for item in (shapes_of(net, names) for names in paid(net)):
            assert point(item) is not None
            assert {moved(item, at) for at in corners(item, step)} <= known


def test_frozen_channels_do_not_multiply_the_table() -> None:
    graph = ea.trace(build("mobilenet_v1", width=0.5).eval(), torch.zeros(1, 1, 28, 28))
    found = reachable(graph, 16, REACH)
    assert {item[0].in_channels for item in found if item[0].kind == "conv"} >= {1, 16}
    assert {item[0].out_channels for item in found if item[0].kind == "linear"} == {10}
    assert reachable(graph, 16, 1.0) == [
        *dict.fromkeys(shapes_of(graph, names) for names in paid(graph))
    ]

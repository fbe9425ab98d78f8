from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from easearch.budget import Latency, LatencyTable
from easearch.budget.latency.affine import Point, ends, fit, left_out
from easearch.budget.latency.calibration import (
    DRIFT,
    calibrate,
    calibration_file,
    learn,
    networks,
    paid,
    structure,
)
from easearch.budget.latency.kernels import shapes_of
from easearch.errors import DeviceError
from easearch.graph import Graph, Shape
from easearch.tracing import trace

MAPS = torch.zeros(1, 3, 9, 9)


def test_the_line_is_found_in_spite_of_outliers() -> None:
    draw = np.random.default_rng(0)
    points = []
    for number in range(20):
        rows, numbers = draw.uniform(0.1, 2.0), draw.uniform(0.01, 0.1)
        ms = 0.05 + 1.1 * rows - 2.0 * numbers
        points.append(
            Point(rows=rows, ends=numbers, items=5, ms=ms * (1.5 if number == 7 else 1.0))
        )
    line = fit(points)
    assert (line.a, line.b, line.c) == pytest.approx((0.05, 1.1, 2.0), rel=0.05)


def test_coefficients_are_never_negative() -> None:
    line = fit([Point(rows=x, ends=0.1, items=5, ms=x**2) for x in (0.5, 1.0, 2.0, 3.0, 4.0)])
    assert min(line.a, line.b, line.c) >= 0


def test_networks_of_one_size_give_a_factor() -> None:
    line = fit([Point(rows=2.0, ends=0.5, items=5, ms=3.0)] * 2)
    assert (line.a, line.b, line.c) == pytest.approx((0.0, 1.5, 0.0))


@pytest.mark.parametrize("rows", [(0.004158, 0.004448), (0.004044, 0.004475)])
def test_two_sizes_give_a_factor_too(rows: tuple[float, float]) -> None:
    points = [
        Point(rows=rows[0], ends=0.000768, items=5, ms=0.005046999999999999),
        Point(rows=rows[1], ends=0.001536, items=5, ms=0.005328),
    ]
    line = fit(points)
    assert (line.a, line.c, line.each) == (0.0, 0.0, 0.0)
    assert line.b == pytest.approx(1.22, rel=0.05)


def test_ends_count_maps_of_convolutions(conv: Callable[..., Shape]) -> None:
    assert ends((conv(3, 16, 4),)) == pytest.approx(16 * 16 / 1e6)
    assert ends((conv(8, 16, 4),)) == pytest.approx(24 * 16 / 1e6)


def test_networks_lie_on_the_step_and_reach_far_enough(small: Graph) -> None:
    wide = small.with_widths({"stem.0": 48})
    nets = networks(wide, 16, 3.0)
    widths = [net.widths["stem.0"] for net in nets]
    assert all(width % 16 == 0 for width in widths)
    assert (min(widths), max(widths)) == (32, 144)
    assert len(nets) >= 6
    assert all(net.widths["head"] == 4 for net in nets)


def test_the_structure_is_blind_to_grown_widths_only(small: Graph) -> None:
    assert structure(small) == structure(small.with_widths({"stem.0": 99}))
    assert structure(small) != structure(small.with_widths({"head": 9}))


def test_it_is_kept_and_damage_is_measured_again(
    small: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    table = LatencyTable()
    first = calibrate(small, table)
    assert calibrate(small, table) == first
    (path,) = table.device.folder.glob("calibration-*.json")
    assert len(json.loads(path.read_text())["points"]) == len(first.points)
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert calibrate(small, table).points
    assert "measuring again" in caplog.text
    assert json.loads(path.read_text())


def test_a_network_far_outside_asks_for_points(small: Graph) -> None:
    first = Latency().calibration(small)
    wider = small.with_widths({"stem.0": 512})
    again = Latency().calibration(wider)
    assert len(again.points) > len(first.points)
    assert Latency().calibration(small) == again


def test_charges_are_those_of_the_network_given(small: Graph) -> None:
    """Whatever else the meter was asked for before."""
    other = trace(nn.Sequential(nn.Conv2d(3, 9, 3), nn.ReLU(), nn.Conv2d(9, 2, 1)), MAPS)
    items = [shapes_of(small, item) for item in paid(small)]
    meter = Latency()
    first = meter.charges(small, items)
    meter.cost(other)
    assert meter.charges(small, items) == first
    assert Latency().charges(small, items) == first


def test_opaque_layers_are_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LocalResponseNorm(2), nn.Conv2d(4, 2, 1)).eval()
    with pytest.raises(DeviceError, match="latency of '1' cannot be measured"):
        Latency().cost(trace(model, torch.zeros(1, 3, 4, 4)))


def test_the_whole_graph_is_executed(small: Graph) -> None:
    milliseconds, noise = Latency().whole(small, rounds=2)
    assert milliseconds > 0 <= noise


def test_an_interval_is_no_narrower_than_what_certificates_showed(small: Graph) -> None:
    """95 of 100 lie inside; what was measured alone gives the left-out error and a drift."""
    meter = Latency()
    first = meter.calibration(small)
    assert first.interval is not None and first.seen == ()
    apart = [abs(error) for error in left_out([[point] for point in first.points])]
    assert first.interval == pytest.approx(max(apart) + DRIFT)
    predicted = meter.cost(small).total
    wide = 1 + 2 * first.interval
    for number in range(40):
        meter.learn(small, predicted * (wide if number == 7 else 1.001))
    assert Latency().calibration(small).interval == pytest.approx(first.interval)
    meter.learn(small, predicted / wide)
    widened = Latency().calibration(small)
    assert widened.interval == pytest.approx(max(wide - 1, 1 - 1 / wide), rel=0.5)
    assert widened.interval > first.interval and widened.line == first.line
    assert meter.calibration(small).interval == first.interval, "while a meter lives it says one"


def test_learning_needs_a_calibration(small: Graph) -> None:
    other = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)), MAPS)
    path = calibration_file(Latency().device, other, "fp32")
    learn(other, Latency().device, "fp32", 0.5)
    assert not path.exists()

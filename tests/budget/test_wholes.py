"""Whole networks are measured once; damage, and what was disturbed, is measured again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easearch.budget.devices import find_device
from easearch.budget.latency.measured_networks import kept
from easearch.graph import Graph


def test_a_network_is_measured_once_and_others_by_themselves(small: Graph) -> None:
    device, asked = find_device("host"), []

    def measure() -> tuple[float, float]:
        asked.append(1)
        return 0.5 + len(asked), 0.01

    first = kept(device, small, "fp32", measure)
    assert kept(device, small, "fp32", measure) == first
    assert kept(device, small, "int8", measure) != first
    assert len(asked) == 2
    wider = small.with_widths({small.growable[0].name: 16})
    assert kept(device, wider, "fp32", measure) != first
    assert kept(device, small, "fp32", measure) == first
    assert len(asked) == 3


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"a": 3}', '{"a": ["x", "y"]}'])
def test_damage_is_measured_again(small: Graph, cache: Path, content: str) -> None:
    device = find_device("host")
    kept(device, small, "fp32", lambda: (1.0, 0.01))
    (file,) = cache.rglob("networks.json")
    file.write_text(content)
    assert kept(device, small, "fp32", lambda: (2.0, 0.02)) == (2.0, 0.02)
    assert kept(device, small, "fp32", lambda: (3.0, 0.03)) == (2.0, 0.02)


def test_what_was_disturbed_is_measured_again_whoever_kept_it(small: Graph, cache: Path) -> None:
    device = find_device("host")
    assert kept(device, small, "fp32", lambda: (2.0, 0.17)) == (2.0, 0.17)
    assert kept(device, small, "fp32", lambda: (1.7, 0.01)) == (1.7, 0.01)
    assert kept(device, small, "fp32", lambda: (2.0, 0.17)) == (1.7, 0.01)
    (file,) = cache.rglob("networks.json")
    (key,) = json.loads(file.read_text())
    file.write_text(json.dumps({key: [2.0, 0.17]}))
    assert kept(device, small, "fp32", lambda: (1.8, 0.01)) == (1.8, 0.01)

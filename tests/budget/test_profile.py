"""A profile: written, read, kept from edits, and never used as if its host were another."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import yaml

import easearch as ea
from easearch.budget import Latency, LatencyTable, find_device, this_host
from easearch.budget.devices.profile import FILE, ROWS, Profile
from easearch.budget.latency.noise_guard import BUSY
from easearch.budget.latency.rows import read_rows
from easearch.budget.profiling import Profiled, measured, new_device
from easearch.errors import BudgetError, DeviceError
from easearch.graph import Graph


@pytest.fixture(autouse=True)
def budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    return tmp_path / "budgets"


@pytest.fixture
def small(small: Graph) -> Graph:
    """Wide enough to be measured at several widths."""
    return small.with_widths({"stem.0": 48})


def profiled(graph: Graph, **settings: Any) -> Profiled:
    return measured(new_device("board", settings), [graph], reach=2.0)


def changed(folder: Path, **values: Any) -> None:
    file = folder / FILE
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **values}))


def test_it_tells_what_was_measured_where_and_when(small: Graph, budgets: Path) -> None:
    found = profiled(small, threads=2)
    profile = Profile.read(budgets / "board")
    assert profile.host is not None and profile.table is not None
    assert profile.host.host() == this_host(2)
    assert profile.table.rows == found.rows == len(read_rows(budgets / "board" / ROWS))
    assert profile.step == found.step
    assert profile.calibration["fp32"].interval == found.intervals["fp32"]
    assert found.measured == found.rows


def test_a_second_time_only_what_is_new_is_measured(small: Graph) -> None:
    first = profiled(small)
    again = measured(find_device("board"), [small], reach=2.0)
    assert again.rows == first.rows
    assert again.measured <= sum(row.spread > BUSY for row in _rows(first.folder).values())
    farther = measured(find_device("board"), [small], reach=4.0)
    assert farther.measured > 0
    assert set(_rows(first.folder)) <= set(_rows(farther.folder))


def test_of_another_host_only_the_table_is_used(
    small: Graph, budgets: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warned by field; priced by its rows and its own calibration; nothing measured is mixed in."""
    profiled(small)
    here = Latency("board").cost(small)
    other = dict(yaml.safe_load((budgets / "board" / FILE).read_text())["host"])
    changed(budgets / "board", host={**other, "cpu": "Cortex-A76", "instructions": ["asimd"]})
    monkeypatch.setenv("EASEARCH_CACHE", str(budgets / "empty"))
    with caplog.at_level(logging.WARNING):
        meter = Latency("board")
    assert "'board' was measured with cpu Cortex-A76" in caplog.text
    assert "instructions" in caplog.text
    assert "threads" not in caplog.text
    cost = meter.cost(small)
    assert "predicted from the profile 'board'" in cost.note
    assert meter.table.measured == 0
    assert cost.total == pytest.approx(here.total, rel=0.5)
    assert meter.calibration(small).interval == cost.interval is not None
    with pytest.raises(DeviceError, match="nothing can be run on it from here"):
        meter.whole(small)


def test_rows_changed_by_hand_are_noticed(small: Graph, budgets: Path) -> None:
    profiled(small)
    rows = budgets / "board" / ROWS
    rows.write_text(rows.read_text().replace("add", "mul"))
    with pytest.raises(DeviceError, match=r"changed since.*easearch profile --device board"):
        find_device("board")
    with pytest.raises(DeviceError, match="changed since"):
        ea.Budget({"latency_ms": 1}, device="board").bounds(small)
    rows.unlink()
    with pytest.raises(DeviceError, match=r"expected latency\.csv"):
        find_device("board")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threads": 0}, "threads: .*greater than or equal to 1, got 0"),
        ({"step": 5}, "step: "),
        ({"speed": 3}, "speed: unknown key"),
        ({"reach": "radio"}, "reach: "),
        ({"reach": "ssh"}, "expected `ssh:"),
        ({"ssh": {"address": "-oProxyCommand=x"}, "reach": "ssh"}, r"ssh\.address"),
        ({"ssh": {"address": "pi", "python": "python3; rm"}, "reach": "ssh"}, r"ssh\.python"),
    ],
)
def test_what_it_cannot_mean_is_one_sentence(
    budgets: Path, values: dict[str, Any], told: str
) -> None:
    new_device("board", {})
    changed(budgets / "board", **values)
    with pytest.raises(DeviceError, match=told):
        find_device("board")


def test_no_yaml_no_device(budgets: Path) -> None:
    new_device("board", {})
    (budgets / "board" / FILE).write_text("a: [1")
    with pytest.raises(DeviceError, match="expected a profile in YAML"):
        find_device("board")
    with pytest.raises(BudgetError, match="did you mean 'board'"):
        find_device("bored")
    with pytest.raises(DeviceError, match="expected a device's name"):
        new_device("../board", {})
    with pytest.raises(DeviceError, match="has no NoProvider"):
        new_device("other", {"provider": "NoProvider"})
    assert [folder.name for folder in budgets.iterdir()] == ["board"]


def test_cold_caches_are_another_device(small: Graph, conv: Any) -> None:
    """Their measurements are kept apart, and a network that finds caches cold is no faster."""
    device = new_device("cold", {"caches": "cold"})
    assert device.folder != new_device("warm", {}).folder
    item = (conv(64, 64, 8, kernel=3),)
    (cold,), (warm,) = LatencyTable(device).rows([item]), LatencyTable("warm").rows([item])
    assert cold > 0 and warm > 0


def test_a_gpu_that_is_not_there_is_refused(budgets: Path) -> None:
    with pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("there is a GPU here")
        new_device("gpu", {"provider": "CUDAExecutionProvider"})
    assert not (budgets / "gpu").exists()


def _rows(folder: Path) -> dict[str, Any]:
    return read_rows(folder / ROWS)

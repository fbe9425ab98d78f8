"""Energy: counters read from real files that a thread moves; the model against hand and file."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES, inputs
from torch import nn

from easearch.budget import Budget, certify, find_device, find_meter, measure
from easearch.budget.devices.counters import Rapl, Window, find_counter, joules_of, power
from easearch.budget.devices.device import Device
from easearch.budget.devices.profile import EnergyPart, Profile
from easearch.budget.devices.timing import Here
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.joules import BOOK, Sample, fit, read_samples
from easearch.budget.latency.models import whole_model
from easearch.budget.meters.energy import Energy
from easearch.cli import main
from easearch.errors import BudgetError, DeviceError, MissingExtraError
from easearch.exporting import export
from easearch.graph import Graph
from easearch.models import SEEDS
from easearch.roles import Bound
from easearch.tracing import trace
from easearch.tracing.walk import OPAQUE

SHORT = Window(seconds=0.06, updates=10, repeats=3, patience=10.0)
OTHERWISE = {
    "densenet": "a generated convolution always has a bias",
    "bias_parameter": "the same",
    "shared_conv": "generated models do not share weights",
    "twice": "the same",
    "tied_weights": "the same",
    "needs_export": "the same",
    "spatial_gate": "one gate for all channels is a narrower map",
    "softplus": "several operators, not one function",
    "group_norm": "several operators, with maps between",
    "instance_norm": "with statistics it is a batch norm, and folded",
    "vit": "attention shows the maps inside",
    "maxvit": "the same",
    "mha": "the same",
    **dict.fromkeys(
        ("dgcnn", "dgcnn_arange", "dgcnn_dynamic"), "nothing reads positions in generated models"
    ),
    "attention_sdpa": "the same",
}
"""Families whose files have other nodes than their graphs have layers, and why."""


class Machine:
    """A powercap tree in a folder. `zones` are (name, range); a thread moves the packages."""

    def __init__(self, root: Path, *zones: tuple[str, int]) -> None:
        self.root, self.ranges = root, dict(zones)
        self.folders = {}
        parent = -1
        for name, limit in zones:
            parent += name.startswith(("package", "psys"))
            folder = root / (f"intel-rapl:{parent}" + ":0" * (not name.startswith(("pack", "psy"))))
            folder.mkdir(parents=True)
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text(f"{limit}\n")
            self.folders[name] = folder
            self.set(name, 0)

    def set(self, name: str, microjoules: int) -> None:
        """Where the zone's counter stands, as often as it went over its range."""
        target = os.open(self.folders[name] / "energy_uj", os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(target, b"%020d\n" % (microjoules % self.ranges[name]), 0)
        os.close(target)

    def run(self, microjoules: Callable[[], float]) -> Callable[[], None]:
        """Let all packages move to `microjoules()` now and then; returns what stops it."""
        over = threading.Event()

        def move() -> None:
            while not over.wait(0.001):
                for name in self.ranges:
                    self.set(name, int(microjoules()))

        thread = threading.Thread(target=move, daemon=True)
        thread.start()
        return lambda: (over.set(), thread.join())[-1]


@pytest.fixture
def processor(tmp_path: Path) -> Iterator[Path]:
    """A tree whose package takes 2 W, and 20 more while this process computes."""
    machine = Machine(tmp_path / "powercap", ("package-0", 262_143_328_850))
    stop = machine.run(lambda: 1e6 * (2 * time.monotonic() + 20 * time.process_time()))
    yield machine.root
    stop()


def chain(width: int) -> Graph:
    """Two widths that may grow."""
    net = nn.Sequential(
        *(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)),
    )
    return trace(net.eval(), torch.zeros(1, 3, 8, 8))


@pytest.fixture
def uncounted(tmp_path: Path) -> Energy:
    return Energy(root=tmp_path / "nothing")


def test_packages_are_added_up_over_their_wraps(tmp_path: Path) -> None:
    zones = (("package-0", 1000), ("core", 1000), ("psys", 1000), ("package-1", 5000))
    machine = Machine(tmp_path, *zones)
    machine.set("package-0", 900)
    counter = Rapl(tmp_path)
    assert counter.name == "RAPL package-0 package-1"
    assert counter.read() == 0
    machine.set("core", 500)
    machine.set("psys", 700)
    assert counter.read() == 0
    machine.set("package-0", 1100)  # shows 100: it went over its range
    machine.set("package-1", 4900)
    assert counter.read() == pytest.approx((200 + 4900) / 1e6, rel=1e-12)
    machine.set("package-1", 5050)
    machine.set("package-0", 2050)
    assert counter.read() == pytest.approx((200 + 950 + 5050) / 1e6, rel=1e-12)


def test_no_package_and_no_number_are_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"expected RAPL packages in .*, got none"):
        Rapl(tmp_path)
    machine = Machine(tmp_path, ("package-0", 1000))
    (machine.folders["package-0"] / "energy_uj").write_text("none\n")
    with pytest.raises(DeviceError, match=r"energy_uj: expected microjoules, got 'none'"):
        Rapl(tmp_path)


def test_reading_without_permission_says_what_to_do() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # pytest's own folders are closed to others
        machine = Machine(Path(folder), ("package-0", 1000))
        file = machine.folders["package-0"] / "energy_uj"
        file.chmod(0o000)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
            with pytest.raises(
                DeviceError, match=r"needs root or a changed permission.*chmod a\+r"
            ):
                Rapl(Path(folder))
            meter = Energy(root=Path(folder))
            assert meter.counter is None
            assert "chmod" in meter.why
        finally:
            os.seteuid(user)


def test_what_idle_machines_take_is_subtracted(tmp_path: Path) -> None:
    """5 J a run are found beside 40 W and beside 400, whatever the range of the counter."""
    for watts, limit in ((40, 10**12), (400, 10**8)):
        runs = 0

        def run() -> None:
            nonlocal runs
            time.sleep(0.002)
            runs += 1

        machine = Machine(tmp_path / str(watts), ("package-0", limit))
        stop = machine.run(
            lambda watts=watts: 5e6 * runs + 1e6 * watts * time.monotonic()  # noqa: B023
        )
        taken = joules_of(run, Rapl(machine.root), SHORT)
        stop()
        assert taken.joules == pytest.approx(5, rel=0.1)
        assert taken.idle == pytest.approx(watts, rel=0.3)
        assert taken.spread < 0.2
        assert taken.runs >= 3 * 10


def test_noise_is_not_called_a_measurement(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "busier", ("package-0", 10**12))
    last, total, before = 0.0, 0.0, time.monotonic()

    def run() -> None:
        nonlocal last
        time.sleep(0.001)
        last = time.monotonic()

    def microjoules() -> float:
        nonlocal total, before
        now = time.monotonic()
        total += 1e6 * (now - before) * (1 if now - last < 0.02 else 100)
        before = now
        return total

    stop = machine.run(microjoules)
    with pytest.raises(DeviceError, match="something else is running"):
        joules_of(run, Rapl(machine.root), SHORT)
    stop()
    with pytest.raises(DeviceError, match=r"to move 10 times in 0.05 s, got fewer"):
        joules_of(run, Rapl(machine.root), replace(SHORT, patience=0.05))


def test_a_gpu_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    place = find_device("host")
    gpu = replace(place, stopwatch=Here(provider="CUDAExecutionProvider"))
    with pytest.raises(MissingExtraError, match=r"pip install 'easearch\[gpu\]'"):
        find_counter(gpu)
    with pytest.raises(MissingExtraError):
        Energy(gpu).cost(chain(8))
    with pytest.raises(DeviceError, match="no counter here sees the energy of 'host'"):
        find_counter(replace(place, stopwatch=None))


def test_energy_is_measured_where_a_counter_is(processor: Path, tmp_path: Path) -> None:
    small = chain(24)
    assert 0 < power(Rapl(processor)) < 100
    meter = Energy(root=processor, window=SHORT)
    cost = meter.cost(small)
    assert cost.note.startswith("measured: fitted to ")
    assert "networks by RAPL package-0, mean error " in cost.note
    assert cost.interval is not None and cost.interval > 0
    kept = next(find_device("host").folder.glob("energy-*-fp32.json"))
    before = kept.read_text()
    again = Energy(root=processor, window=SHORT)
    assert again.cost(small) == cost
    assert kept.read_text() == before
    assert json.loads(before)["counter"] == "RAPL package-0"
    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(small))
    (proof,) = certify(path, small, [Bound(meter=meter, limit=1e9)], (1, 3, 8, 8)).proofs
    assert proof.measured is not None and proof.measured > 0
    assert proof.note.startswith("measured: ")
    assert "by RAPL package-0" in proof.note
    assert "of the idle machine subtracted, spread" in proof.note


def test_a_fit_finds_what_made_the_numbers() -> None:
    draw = torch.Generator().manual_seed(0)
    sizes = (1e6 * torch.rand(8, 2, generator=draw, dtype=torch.float64)).tolist()

    def samples(mac: float, byte: float, each: float) -> list[Sample]:
        return [
            Sample(macs=m, nbytes=b, joules=1e-12 * (mac * m + byte * b) + 1e-6 * each)
            for m, b in sizes
        ]

    found = fit(samples(1.5, 20.0, 3.0), "int8", "RAPL")
    assert found.pj_per_mac["int8"] == pytest.approx(1.5, rel=1e-9)
    assert found.pj_per_byte == pytest.approx(20.0, rel=1e-9)
    assert found.uj_each == pytest.approx(3.0, rel=1e-9)
    assert found.interval == pytest.approx(0, abs=1e-9)
    assert "8 networks by RAPL, mean error 0.0 %" in found.note
    below = fit(samples(-0.5, 20.0, 3.0), "fp32", "RAPL")
    assert below.pj_per_mac["fp32"] == 0 < below.pj_per_byte
    few = fit(samples(9.2, 25.0, 0.0)[:2], "fp32", "RAPL")
    assert few.pj_per_mac["fp32"] == pytest.approx(2 * BOOK.pj_per_mac["fp32"], rel=1e-9)
    assert few.note.startswith("measured: the whole by RAPL; how it divides")


@pytest.mark.parametrize(
    "damage", ['{"samples": 3}', "", '{"counter": "RAPL", "samples": [{"macs": 1}]}']
)
def test_damaged_energies_are_measured_again(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "energy.json").write_text(damage)
    assert read_samples(tmp_path / "energy.json", "RAPL") == []
    assert "measuring again" in caplog.text


def test_the_model_is_what_hands_count(uncounted: Energy) -> None:
    """16 MACs a position; maps of 4 and 8 channels at 64 positions, 32 weights and 8 biases."""
    graph = trace(nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU()).eval(), torch.zeros(1, 4, 8, 8))
    expected = 4.6e-6 * 32 * 64 + 12.5e-6 * 4 * (12 * 64 + 40)
    assert uncounted.cost(graph).total == pytest.approx(expected, rel=1e-12)
    quantized = Energy(precision="int8", root=uncounted.root).cost(graph).total
    weights = 32 + 8 * 5 + 8 * 12
    assert quantized == pytest.approx(0.3e-6 * 32 * 64 + 12.5e-6 * (12 * 64 + weights), rel=1e-12)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(OTHERWISE)))
def test_file_and_graph_take_the_same(family: str, uncounted: Energy, tmp_path: Path) -> None:
    graph = trace(FAMILIES[family].build().double(), inputs(FAMILIES[family], 1))
    if any(layer.kind == OPAQUE for layer in graph.layers):
        pytest.skip("opaque")
    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(graph))
    reading = uncounted.on_file(OnnxFile(path))
    assert reading.value == pytest.approx(uncounted.cost(graph).total, rel=1e-12)
    assert reading.note.startswith("modelled: ")
    assert "no joules were counted: expected RAPL packages" in reading.note


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_exported_seed_takes_what_its_graph_does(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SEEDS["mobilenet_v2"](layout=[[8, 1, 1], [8, 2, 2]], stem_channels=8, divisor=4)
    sample = torch.zeros(1, 1, 16, 16)
    with torch.no_grad():  # a bias of zeros would be left out of the file
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.dim() == 1:
                tensor.copy_(0.5 + torch.rand(tensor.shape))
    options: dict[str, Any] = {}
    if precision == "int8":
        options = {"precision": "int8", "calibration": [(torch.randn(8, 1, 16, 16), None)]}
    export(model.eval(), sample, tmp_path / "model.onnx", **options)
    meter = Energy(precision=precision, root=tmp_path)
    reading = meter.on_file(OnnxFile(tmp_path / "model.onnx", sample.shape))
    # An int8 file reads its input in float32 no more than a graph says: the runtime rounds it once.
    assert reading.value == pytest.approx(meter.cost(trace(model, sample)).total, rel=0.02)


def profiled(energy: dict[str, Any]) -> Device:
    part = EnergyPart(**{"pj_per_byte": 2.0, "source": "a power meter", **energy})
    profile = Profile(name="board", energy=part)
    return replace(find_device("host"), name="board", profile=profile)


def test_a_profile_says_its_own(small: Graph, processor: Path) -> None:
    measured = profiled({"pj_per_mac": {"fp32": 1.0}, "how": "measured", "uj_each": 7.0})
    meter = Energy(measured, root=processor)
    assert meter.note(small) == "measured: coefficients of the profile 'board', a power meter"
    assert meter.overhead(small) == 7.0
    with pytest.raises(DeviceError, match="expected picojoules of int8 MACs, got those of fp32"):
        Energy(measured, precision="int8", root=processor).cost(small)
    modelled = profiled({"pj_per_mac": {"fp32": 1.0}, "how": "modelled", "idle_mw": 250})
    assert Energy(modelled).note(small).startswith("modelled: ")
    assert Energy(modelled).note(small).endswith("250 mW when idle not counted")
    assert Energy(modelled).cost(small).total < Energy().cost(small).total


def test_nothing_modelled_is_called_measured(
    small: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = measure(small, meters=["macs", "energy"])
    assert "\nenergy: modelled: " in str(table)
    assert "measured" not in str(table)
    assert max(map(len, str(table).splitlines())) <= 80
    path = tmp_path / "model.onnx"
    path.write_bytes(whole_model(small))
    bounds = Budget({"energy": "2x"}).bounds(small)
    (proof,) = certify(path, small, bounds, (1, 3, 8, 8)).to_json()["proofs"]
    assert proof["note"].startswith("modelled: ")
    assert proof["error"] == pytest.approx(0, abs=1e-12)
    words = ["measure", "mobilenet_v1", "--meters", "macs,size,energy", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)["costs"]["energy"]
    assert told["unit"] == "uJ"
    assert told["note"].startswith("modelled: ")


def test_limits_on_energy_carry_a_unit(small: Graph) -> None:
    own = find_meter("energy").cost(small).total
    for limits in ({"energy_mj": own / 500}, {"energy": f"{2 * own} uJ"}, {"energy": "2x"}):
        (bound,) = Budget(limits).bounds(small)
        assert bound.limit == pytest.approx(2 * own, rel=1e-12)
    with pytest.raises(BudgetError, match=r"energy: expected a value with a unit, such as '2.5 mJ"):
        Budget({"energy": 4})

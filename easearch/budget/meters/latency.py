"""Latency: milliseconds of one sample on a device, from its table and a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from easearch.budget.devices import Device
from easearch.budget.devices.timing import Model, Progress, Timing
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.calibration import (
    REACH,
    SESSIONS,
    Calibration,
    calibrate,
    learn,
    paid,
    structure,
)
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.measured_networks import kept
from easearch.budget.latency.models import refuse_opaque, whole_model, without_operators
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.latency.table import LatencyTable
from easearch.budget.meters.meter import LayerMeter, Reading
from easearch.budget.time_cap import TimeCap
from easearch.graph import Graph, Shape
from easearch.roles import Cost, Item


class Latency(LayerMeter):
    """Predicted milliseconds: rows of the table, calibrated per network structure.

    Prices one network structure at a time: `charges` are calibrated for the graph last shown to
    `moments`, `overhead` or `cost`. Widths may change freely; a graph of another structure brings
    its own calibration.

    Args:
        device: a name, or a device.
        precision: "fp32" or "int8", of the network as it will be executed.
        reach: calibrate for networks up to this many times as wide as the first one shown.
        progress: called with (done, total) while rows are measured.
        cap: past it new rows are estimated.
    """

    name = "latency"
    unit = "ms"

    def __init__(
        self,
        device: str | Device = "host",
        precision: str = "fp32",
        *,
        reach: float = REACH,
        progress: Progress | None = None,
        cap: TimeCap | None = None,
    ) -> None:
        self.table = LatencyTable(device, progress, precision, cap)
        self.precision = precision
        self.reach = reach
        self._calibrations: dict[str, Calibration] = {}
        self._latest: tuple[Graph, Calibration] | None = None

    @property
    def device(self) -> Device:
        """Where it is measured."""
        return self.table.device

    def calibration(self, graph: Graph) -> Calibration:
        """The structure's calibration: the same for every width while this meter lives."""
        if self._latest is not None and self._latest[0] is graph:
            return self._latest[1]
        key = structure(graph)
        if key not in self._calibrations:
            refuse_opaque(graph)
            self._calibrations[key] = calibrate(graph, self.table, self.reach)
        self._latest = graph, self._calibrations[key]
        return self._calibrations[key]

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every item that the runtime spends time on.

        Raises:
            DeviceError: a layer is opaque.
        """
        refuse_opaque(graph)
        return (tuple(paid(graph)),)

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """The row of each item, as the calibration bills it; new rows are measured in one batch."""
        line = self.calibration(graph).line
        rows = self.table.rows(items)
        return [line.charge(item, us / 1000) for item, us in zip(items, rows, strict=True)]

    def overhead(self, graph: Graph) -> float:
        """The calibration's `a`."""
        return self.calibration(graph).line.a

    def cost(self, graph: Graph) -> Cost:
        """The table: a row a layer, and the total.

        Raises:
            DeviceError: a layer is opaque, or wider than what the table of a device that cannot be
                asked tells of.
        """
        found = super().cost(graph)
        if math.isinf(found.total):
            items = [shapes_of(graph, item) for item in paid(graph)]
            wide = [item for item in items if math.isinf(self.table.rows([item])[0])]
            raise self.table.lacking(wide)
        return found

    def interval(self, graph: Graph) -> float | None:
        """As the calibration has it."""
        return self.calibration(graph).interval

    def learn(self, graph: Graph, measured_ms: float) -> None:
        """Keep how far a file's latency was from its prediction, for later intervals."""
        if self.device.stopwatch is not None:
            error = measured_ms / self.cost(graph).total - 1
            learn(graph, self.device, self.precision, error)

    def note(self, graph: Graph) -> str:
        """Where the calibration comes from, if not from the device itself."""
        return self.calibration(graph).note

    def uncounted(self, graph: Graph) -> tuple[str, ...]:
        """Layers without known operators; `cost` refuses a network with any."""
        return without_operators(graph)

    def whole(self, graph: Graph, rounds: int = 20) -> tuple[float, float]:
        """The whole graph, executed once and for all in a quiet moment: milliseconds, and how far
        they may be off, as a fraction.
        """

        def measured() -> tuple[float, float]:
            timing = self._timed(whole_model(graph, precision=self.precision), rounds)
            return timing.min_us / 1000, timing.disturbed

        return kept(self.device, graph, self.precision, measured)

    def on_file(self, file: OnnxFile) -> Reading:
        """The file, executed on the device in turns with itself."""
        if self.device.stopwatch is None:
            reason = f"nothing can be run on '{self.device.name}' from here: not measured"
            return Reading(value=None, note=reason)
        timing = self._timed(file.path, 30, file.sample)
        low, high = sorted(timing.halves_us)
        note = f"measured on {self.device.host.key}"
        return Reading(value=timing.min_us / 1000, noise=high / low - 1, note=note)

    def _timed(self, model: Model, rounds: int, sample: Sequence[int] | None = None) -> Timing:
        # Best of several sessions, as calibration takes it.
        quiet = Quiet(self.device)
        (timing,) = quiet.time([model], rounds=rounds, sessions=SESSIONS, sample=sample)
        return timing

"""Energy: microjoules of one inference, measured where a counter exists, else modelled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from easearch.budget.devices import Device, find_device
from easearch.budget.devices.counters import Counter, Window, find_counter, joules_of
from easearch.budget.devices.running import runnable
from easearch.budget.exported.file import OnnxFile
from easearch.budget.exported.traffic import file_traffic
from easearch.budget.latency.calibration import REACH, structure
from easearch.budget.latency.joules import BOOK, Coefficients, fitted, of_profile
from easearch.budget.latency.models import refuse_opaque
from easearch.budget.meters.meter import LayerMeter, Reading
from easearch.budget.traffic import item_traffic, moving
from easearch.errors import DeviceError, FileFormatError
from easearch.graph import Graph, Shape
from easearch.roles import Item


class Energy(LayerMeter):
    """Picojoules a multiply-add and a byte moved, over every item that the runtime executes.

    The coefficients are, in this order: measured ones of the device's profile; fitted by a counter
    of this machine to whole networks of the graph's structure, and kept; the profile's modelled
    ones; those of a book. `note` says which, beginning with "measured" or "modelled".

    Like latency it prices one network structure at a time: the one last shown to `moments`,
    `overhead` or `cost`.

    Args:
        device: a name, or a device.
        precision: "fp32" or "int8", of the network as it will be executed.
        reach: fit to networks up to this many times as wide as the first one shown.
        root: the folder of the kernel's powercap tree, if it is not where it always is.
        window: how long the counter is watched.
    """

    name = "energy"
    unit = "uJ"

    def __init__(
        self,
        device: str | Device = "host",
        precision: str = "fp32",
        *,
        reach: float = REACH,
        root: Path | None = None,
        window: Window | None = None,
    ) -> None:
        self.device = find_device(device)
        self.precision = precision
        self.reach = reach
        self.root = root
        self.window = window
        self._fits: dict[str, Coefficients] = {}

    @cached_property
    def counter(self) -> Counter | None:
        """What counts joules where the network runs; None where nothing does, see `why`."""
        try:
            return find_counter(self.device, self.root)
        except DeviceError as error:
            self.why = str(error)
            return None

    why = ""
    """Why there is no counter."""

    def coefficients(self, graph: Graph) -> Coefficients:
        """Those that hold for a graph.

        Raises:
            DeviceError: they are fitted, and the graph cannot be executed.
            MissingExtraError: a GPU's counter needs nvidia-ml-py.
        """
        profile = self.device.profile
        measured = profile and profile.energy and profile.energy.how == "measured"
        if measured or self.counter is None:
            return self._stated
        return self._fitted(graph, self.counter)

    @property
    def _stated(self) -> Coefficients:
        """Those of the device's profile, or of books."""
        profile = self.device.profile
        return of_profile(profile.name, profile.energy) if profile and profile.energy else BOOK

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every item that moves anything, weights nobody knows left out."""
        unknown = set(self.uncounted(graph))
        return (tuple(item for item in moving(graph) if not unknown & set(item)),)

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """What each item computes and moves, in microjoules."""
        found = self.coefficients(graph)
        return [found.microjoules(item_traffic(item, self.precision)) for item in items]

    def overhead(self, graph: Graph) -> float:
        """What an inference of any size takes."""
        return self.coefficients(graph).uj_each

    def interval(self, graph: Graph) -> float | None:
        """As the fit has it; a model of another chip has none."""
        return self.coefficients(graph).interval

    def note(self, graph: Graph) -> str:
        """Measured or modelled, and by what."""
        return self.coefficients(graph).note

    def on_file(self, file: OnnxFile) -> Reading:
        """By the counter, the file executed; else by the same model, its own nodes counted."""
        if self.counter is not None:
            return self._measured(file, self.counter)
        try:
            found = self._stated
            value = found.microjoules(file_traffic(file)) + found.uj_each
            return Reading(value=value, note=f"{found.note} (no joules were counted: {self.why})")
        except (DeviceError, FileFormatError) as error:
            return Reading(value=None, note=f"not known: {error}")

    def _measured(self, file: OnnxFile, counter: Counter) -> Reading:
        run = runnable(self.device, file.path, file.sample)
        taken = joules_of(run, counter, self.window)
        note = (
            f"measured: {taken.runs:,} runs by {counter.name}, {taken.idle:.3g} W of the idle "
            f"machine subtracted, spread {100 * taken.spread:.1f} %"
        )
        return Reading(value=1e6 * taken.joules, noise=taken.spread, note=note)

    def _fitted(self, graph: Graph, counter: Counter) -> Coefficients:
        key = structure(graph)
        if key not in self._fits:
            refuse_opaque(graph)
            self._fits[key] = fitted(
                graph, self.device, self.precision, counter, self.window, self.reach
            )
        return self._fits[key]

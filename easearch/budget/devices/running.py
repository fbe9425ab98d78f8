"""A model as a function that runs it once on a device of this machine, as long as one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from easearch.budget.devices import runner
from easearch.budget.devices.device import Device
from easearch.budget.devices.timing import Here, Model
from easearch.errors import DeviceError


def runnable(
    device: Device, model: Model, sample: Sequence[int] | None = None
) -> Callable[[], None]:
    """A function that runs a model once on random inputs, and returns when it is done.

    Args:
        device: one of this machine.
        model: a serialized ONNX model, or a file.
        sample: (N, C, ...), sizes for dimensions that the model leaves open.

    Raises:
        DeviceError: the model cannot be loaded or run, or the device is not of this machine.
    """
    source = str(model) if isinstance(model, Path) else model
    place = device.stopwatch
    if not isinstance(place, Here):
        raise DeviceError(f"expected a device of this machine, got '{device.name}'")
    try:
        return runner.bound_call(source, sample, place.threads, place.provider)
    except runner.CannotRun as error:
        raise DeviceError(str(error)) from error

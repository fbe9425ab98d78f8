"""A model as a function that runs it once on a device of this machine, as long as one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from easearch.budget.devices import runner
from easearch.budget.devices.device import Device
from easearch.budget.devices.timing import Here, Model
from easearch.budget.devices.torch_program import Program
from easearch.budget.devices.torch_runtime import Torch, threads_set, torch_device
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
    if isinstance(place, Torch):
        return _in_torch(place, source, sample)
    if not isinstance(place, Here):
        raise DeviceError(f"expected a device of this machine, got '{device.name}'")
    try:
        return runner.bound_call(source, sample, place.threads, place.provider)
    except runner.CannotRun as error:
        raise DeviceError(str(error)) from error


def _in_torch(
    place: Torch, source: bytes | str, sample: Sequence[int] | None
) -> Callable[[], None]:
    where = torch_device(place.provider)
    with torch.inference_mode():
        program = Program(source, where, sample)

    def run() -> None:
        with torch.inference_mode(), threads_set(place.threads):
            program.run()
            if where.type == "cuda":
                torch.cuda.synchronize(where)

    return run

"""An ONNX file in 8 bits: calibrated on samples, then held against the model on the same samples.

Rounding to 8 bits is not exact, so no bound on the outputs proves it right: what counts is how many
samples keep their class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from torch import Tensor

from easearch.budget.devices.host import Host, this_host
from easearch.budget.latency.quantized import SETTINGS
from easearch.errors import ExportError, GraphError, reason_of
from easearch.exporting.loaded import Exported
from easearch.exporting.parity import Parity, Values, arrays
from easearch.exporting.subject import Subject
from easearch.tracing.flat import described

SAMPLES = 512
"""Calibration samples that are looked at, at most: ranges settle within a few hundred."""
CHUNK = 32
"""Samples run at once."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far a file's outputs are from the model's, over samples; of several, the worst.

    `difference` is the largest, relative to the largest output; `error` the root mean square,
    relative to that of the outputs, or the share of whole numbers and booleans that differ; `top1`
    the share of samples whose class is the same, None where no output is scores of classes (N, K).

    `loss` is how wrong the file is: the error, or the share of samples that change class, if less.
    Classes change by the smallest error where a network is not sure of any; an error that changes
    no class does no harm.
    """

    difference: float
    error: float
    top1: float | None
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Samples as a file takes them: tensors by the names of its inputs.

    Attributes:
        values: (N, ...) where `free`, else one for all samples.
        free: whether the first axis of an input is the batch.
        sizes: batch sizes to begin with; where there is one alone, all batches have it.
    """

    values: Mapping[str, Tensor]
    free: Mapping[str, bool]
    sizes: tuple[int, ...]

    @property
    def number(self) -> int:
        """How many samples there are."""
        return min(len(x) for name, x in self.values.items() if self.free[name])

    def chunks(self, first: tuple[int, ...] = ()) -> Iterator[dict[str, Tensor]]:
        """Every sample once, in batches of `first`, then of `CHUNK`; few are taken again."""
        size = CHUNK if len(self.sizes) > 1 else self.sizes[0]
        wanted = list(first)
        while sum(wanted) < self.number:
            left = self.number - sum(wanted)
            wanted.append(min(size, left) if len(self.sizes) > 1 else size)
        rows = torch.arange(sum(wanted)) % self.number
        for some in torch.split(rows, wanted):
            yield {n: x[some] if self.free[n] else x for n, x in self.values.items()}


def calibration_samples(calibration: Iterable[Any] | Tensor, given: Subject) -> Calibration:
    """The first samples of (inputs, targets) or inputs, float32, on the CPU.

    Raises:
        ExportError: there are none, they are not as the sample, or not finite.
    """
    found: list[tuple[Tensor, ...]] = []
    free = given.free if any(given.free) else tuple(bool(x.dim()) for x in given.sample)
    first = free.index(True) if any(free) else 0
    for batch in [calibration] if isinstance(calibration, Tensor) else calibration:
        found.append(_inputs_of(batch, given))
        if sum(len(values[first]) for values in found) >= SAMPLES:
            break
    if not found or not any(len(values[first]) for values in found):
        raise ExportError(
            "calibration: expected batches, got none; an iterator can be read only once, give a "
            "list or a loader"
        )
    stacked = [
        torch.cat(values)[:SAMPLES].contiguous() if batched else values[0]
        for values, batched in zip(zip(*found, strict=True), free, strict=True)
    ]
    if not all(bool(torch.isfinite(x).all()) for x in stacked):
        raise ExportError("calibration: expected finite numbers, got infinite ones or NaN")
    return Calibration(
        values=dict(zip(given.inputs, stacked, strict=True)),
        free=dict(zip(given.inputs, free, strict=True)),
        sizes=given.sizes,
    )


def _inputs_of(batch: Any, given: Subject) -> tuple[Tensor, ...]:
    """The input tensors of a batch of (inputs, targets), or of inputs alone."""
    tries = [batch[0], batch] if isinstance(batch, tuple | list) and batch else [batch]
    for inputs in tries:
        try:
            values = given.flat.inputs.of(inputs)
        except GraphError:
            continue
        if all(x.shape[1:] == y.shape[1:] for x, y in zip(values, given.sample, strict=True)):
            return tuple(
                x.detach().to("cpu", torch.float32 if x.is_floating_point() else x.dtype)
                for x in values
            )
    wanted = [f"({', '.join(['N', *map(str, x.shape[1:])])})" for x in given.sample]
    kind = f"a tensor {wanted[0]}" if len(wanted) == 1 else f"tensors {', '.join(wanted)}"
    raise ExportError(
        f"calibration: expected batches of (inputs, targets), or of inputs, each {kind} as the "
        f"sample, got {described(tries[0])}"
    )


def quantize(file: Path, target: Path, samples: Calibration) -> None:
    """Write the fp32 file again in 8 bits, with the ranges that the samples have in it.

    Where this host's sums of products would overflow, weights have 7 bits: a file that is right
    here is right elsewhere, not the other way round.

    Raises:
        ExportError: ONNX Runtime cannot quantize it.
    """
    try:
        narrow = overflows(this_host())
        quantize_static(file, target, _Reader(samples), reduce_range=narrow, **SETTINGS)
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot quantize the network: {reason_of(error)}; export it in fp32"
        ) from error


def overflows(host: Host) -> bool:
    """Whether it adds two products of uint8 and int8 in 16 bits and cuts off what is more, as x86
    does that has no VNNI; ONNX Runtime then asks for weights of 7 bits.
    """
    return "avx2" in host.instructions and "avx512_vnni" not in host.instructions


def agreement(given: Subject, file: Path, samples: Calibration) -> Agreement:
    """Hold a file against the model on samples, in batches of the sizes at which it is checked
    first.

    Raises:
        ExportError: the file cannot be run, or gives other shapes, infinite numbers or NaN.
    """
    exported, found = Exported(file), Parity()
    classes: dict[str, list[bool]] = {}
    for batch in samples.chunks(samples.sizes):
        expected, got = given.run(list(batch.values())), exported.named(batch)
        values = arrays(tuple(got), tuple(got.values()))
        found.compare(expected, values)
        _count_classes(classes, expected, values)
    errors = found.errors
    top1 = {name: float(np.mean(same)) for name, same in classes.items()}
    losses = [min(one, 1 - top1.get(name, 0.0)) for name, one in errors.items()]
    return Agreement(
        difference=max(found.ratios.values(), default=0.0),
        error=max(errors.values()),
        top1=next(iter(top1.values()), None),
        loss=max(losses),
    )


def _count_classes(classes: dict[str, list[bool]], expected: Values, got: Values) -> None:
    """Which samples keep their class, for every output that is scores of classes (N, K)."""
    for name, ours in expected.items():
        if ours.ndim == 2 and ours.shape[1] > 1 and ours.dtype.kind == "f":
            same = ours.argmax(1) == got[name].argmax(1)
            classes.setdefault(name, []).extend(same.tolist())


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantizer its calibration samples."""

    def __init__(self, samples: Calibration) -> None:
        self.batches = samples.chunks()

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, None behind the last."""
        batch = next(self.batches, None)
        return None if batch is None else arrays(tuple(batch), tuple(batch.values()))

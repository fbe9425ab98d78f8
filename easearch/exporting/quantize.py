"""An ONNX file in 8 bits: calibrated on samples, then held against the model on the same samples.

Rounding to 8 bits is not exact, so no bound on the outputs proves it right: what counts is how many
samples keep their class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from torch import Tensor, nn

from easearch.budget.devices.host import Host, this_host
from easearch.budget.latency.quantized import SETTINGS
from easearch.errors import ExportError
from easearch.exporting.loaded import Exported

SAMPLES = 512
"""Calibration samples that are looked at, at most: ranges settle within a few hundred."""
CHUNK = 32
"""Samples run at once."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far a file's outputs are from the model's, over samples.

    `difference` is the largest, relative to the largest output; `error` the root mean square,
    relative to that of the outputs; `top1` the share of samples whose class is the same, None where
    outputs are no scores of classes (N, K).
    """

    difference: float
    error: float
    top1: float | None

    @property
    def loss(self) -> float:
        """How wrong the file is: the error, or the share of samples that change class, if less.

        Classes change by the smallest error where a network is not sure of any; an error that
        changes no class does no harm.
        """
        return self.error if self.top1 is None else min(self.error, 1 - self.top1)


def calibration_samples(calibration: Iterable[Any] | Tensor, sample: Tensor) -> Tensor:
    """The first samples of (inputs, targets) or inputs, (N, C, ...), float32, on the CPU.

    Raises:
        ExportError: there are none, they are not as the sample, or not finite.
    """
    wanted = f"a tensor ({', '.join(['N', *map(str, sample.shape[1:])])}) as the sample"
    found: list[Tensor] = []
    for batch in [calibration] if isinstance(calibration, Tensor) else calibration:
        inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(inputs, Tensor) or inputs.shape[1:] != sample.shape[1:]:
            raise ExportError(
                f"calibration: expected batches of (inputs, targets), or of inputs, each {wanted}, "
                f"got {_said(inputs)}"
            )
        found.append(inputs.detach().to("cpu", torch.float32))
        if sum(map(len, found)) >= SAMPLES:
            break
    samples = torch.cat(found)[:SAMPLES] if found else sample[:0]
    if not len(samples):
        raise ExportError(
            "calibration: expected batches, got none; an iterator can be read only once, give a "
            "list or a loader"
        )
    if not bool(torch.isfinite(samples).all()):
        raise ExportError("calibration: expected finite numbers, got infinite ones or NaN")
    return samples.contiguous()


def quantize(file: Path, target: Path, samples: Tensor) -> None:
    """Write the fp32 file again in 8 bits, with the ranges that the samples (N, C, ...) have in it.

    Where this host's sums of products would overflow, weights have 7 bits: a file that is right
    here is right elsewhere, not the other way round.

    Raises:
        ExportError: ONNX Runtime cannot quantize it.
    """
    try:
        narrow = overflows(this_host())
        quantize_static(file, target, _Reader(samples), reduce_range=narrow, **SETTINGS)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ExportError(f"ONNX Runtime cannot quantize the network: {reason}") from error


def overflows(host: Host) -> bool:
    """Whether it adds two products of uint8 and int8 in 16 bits and cuts off what is more, as x86
    does that has no VNNI; ONNX Runtime then asks for weights of 7 bits.
    """
    return "avx2" in host.instructions and "avx512_vnni" not in host.instructions


def agreement(model: nn.Module, file: Path, samples: Tensor, sizes: tuple[int, ...]) -> Agreement:
    """Hold a file against the model on samples (N, C, ...), in batches of `sizes` first.

    Raises:
        ExportError: the file cannot be run, or gives other shapes, infinite numbers or NaN.
    """
    expected, got = [], []
    exported = Exported(file)
    for batch in _chunks(samples, sizes):
        with torch.no_grad():
            expected.append(model(batch).numpy())
        got.append(exported(batch).numpy())
        if got[-1].shape != expected[-1].shape:
            raise ExportError(
                f"expected outputs of shape {expected[-1].shape}, got {got[-1].shape}"
            )
    a, b = np.concatenate(expected).astype(np.float64), np.concatenate(got).astype(np.float64)
    if not np.isfinite(b).all():
        raise ExportError("the quantized file gives infinite numbers or NaN; export in fp32")
    scores = a.ndim == 2 and a.shape[1] > 1
    return Agreement(
        difference=float(np.abs(b - a).max()) / max(float(np.abs(a).max()), 1e-12),
        error=float(np.linalg.norm(b - a)) / max(float(np.linalg.norm(a)), 1e-12),
        top1=float((a.argmax(1) == b.argmax(1)).mean()) if scores else None,
    )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantizer its calibration samples."""

    def __init__(self, samples: Tensor) -> None:
        self.batches = iter(torch.split(samples, CHUNK))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, None behind the last."""
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch.numpy()}


def _chunks(samples: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """Every sample once, in batches of `sizes`, then of `CHUNK`; few are taken again."""
    while len(samples) < sum(sizes):
        samples = torch.cat([samples, samples])
    first, rest = samples[: sum(sizes)], samples[sum(sizes) :]
    yield from torch.split(first, list(sizes))
    yield from torch.split(rest, CHUNK) if len(rest) else ()


def _said(inputs: Any) -> str:
    if isinstance(inputs, Tensor):
        return f"a tensor {tuple(inputs.shape)}"
    if isinstance(inputs, tuple | list):
        return f"{len(inputs)} inputs; models of several are exported in fp32 only"
    return f"a {type(inputs).__name__}"

"""ONNX files: a free batch size, checked, compared with the model before they count.

torch's exporter has been seen to fix the batch size, to ignore dynamic shapes and to write a wrong
network: so the file is run at three batch sizes, and stands in its place only when the
outputs agree. A file in int8 is made of one that passed.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from easearch.budget.exported.file import BUFFERS
from easearch.checks.objects import check_model
from easearch.claims import writing
from easearch.errors import ExportError, nearest
from easearch.exporting.pooling import pool_globally
from easearch.exporting.quantize import Agreement, agreement, calibration_samples, quantize
from easearch.roles import PRECISIONS

BATCH_SIZES = (1, 2, 5)
TOLERANCE = {"fp32": 1e-4, "int8": 0.5}
"""fp32: the largest difference. int8: the largest relative error, or share of samples that change
class: a few in a hundred are usual, a file that errs by half is broken rather than coarse.
"""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written, and how far its outputs are from the model's.

    `difference` is the largest of all outputs at all batch sizes, relative to the largest output.
    In int8 all three are over the calibration samples: `error` is the root mean square of the
    difference relative to that of the outputs, `agreement` the share of samples whose class is the
    same, None where outputs are no scores of classes (N, K).
    """

    path: Path
    precision: str = "fp32"
    difference: float
    error: float | None = None
    agreement: float | None = None
    samples: int = 0
    """How many calibration samples were looked at."""
    batch_sizes: tuple[int, ...]
    opset: int
    nbytes: int


def export(
    model: nn.Module,
    sample: Tensor,
    path: Path | str,
    precision: str = "fp32",
    *,
    calibration: Iterable[Any] | Tensor | None = None,
    tolerance: float | None = None,
) -> ExportReport:
    """Write the model as one ONNX file with a free batch dimension (`input` -> `output`).

    Args:
        model: left as it was; exported in evaluation mode, from the CPU.
        sample: one input (N, C, ...), of which only the shape behind N matters.
        path: where the file shall stand; nothing stands there unless it passed.
        precision: "fp32", or "int8": quantized by ONNX Runtime, weights a scale a channel.
        calibration: for int8, batches of (inputs, targets) or of inputs, as the network will see
            them; the first 512 samples set the ranges of its values.
        tolerance: fp32: the largest difference, 1e-4. int8: the largest relative error, or share
            of calibration samples that change class if that is less, 0.5.

    Raises:
        ExportError: the arguments do not fit, torch or ONNX Runtime cannot export the model, the
            file is not valid, or its outputs are further from the model's than the tolerance.
    """
    path = Path(path)
    check_model(model, kind=ExportError)
    _check(sample, precision, calibration)
    bar = TOLERANCE[precision] if tolerance is None else tolerance
    samples = None
    if precision == "int8" and calibration is not None:
        samples = calibration_samples(calibration, sample)
    if path.is_dir():
        raise ExportError(f"expected a file to write, got the folder '{path}'; name a file in it")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    # From a copy in torch's plain layout: channels last leaves transposes and gathers in the file.
    plain = copy.deepcopy(model).cpu().float().eval()
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with writing(path), tempfile.TemporaryDirectory() as folder:  # beside it, a kill would leave it
        draft, coarse = Path(folder) / "model.onnx", None
        _write(plain, sample, draft)
        opset = _checked(draft)
        difference = _parity(plain, sample, draft, bar if samples is None else TOLERANCE["fp32"])
        if samples is not None:
            draft, coarse = _coarser(plain, draft, samples, bar)
            opset, difference = _checked(draft), coarse.difference
        beside = path.with_name(f".{path.name}.part")
        shutil.copyfile(draft, beside)
        beside.replace(path)
    return ExportReport(
        path=path,
        precision=precision,
        difference=difference,
        error=coarse.error if coarse else None,
        agreement=coarse.top1 if coarse else None,
        samples=0 if samples is None else len(samples),
        batch_sizes=BATCH_SIZES,
        opset=opset,
        nbytes=path.stat().st_size,
    )


def _check(sample: Tensor, precision: str, calibration: Iterable[Any] | None) -> None:
    if not isinstance(sample, Tensor):
        raise ExportError(
            f"expected one input tensor as a sample, got a {type(sample).__name__}; models of "
            "several inputs cannot be exported yet"
        )
    if precision not in PRECISIONS:
        known = nearest(str(precision), PRECISIONS)
        raise ExportError(
            f"expected the precision {' or '.join(PRECISIONS)}, got '{precision}'; {known}"
        )
    if precision == "int8" and calibration is None:
        raise ExportError(
            "int8: expected calibration samples, got none; give calibration=batches, a few hundred "
            "of the training inputs"
        )
    if calibration is not None and not isinstance(calibration, Iterable):
        raise ExportError(
            "calibration: expected batches of (inputs, targets), such as a list or a loader, got "
            f"a {type(calibration).__name__}"
        )


def _coarser(model: nn.Module, draft: Path, samples: Tensor, bar: float) -> tuple[Path, Agreement]:
    """The draft in 8 bits, and how well it agrees."""
    target = draft.with_name("int8.onnx")
    with _quiet():
        quantize(draft, target, samples)
    found = agreement(model, target, samples, BATCH_SIZES)
    if not found.loss <= bar:
        classes = "" if found.top1 is None else f", and {found.top1:.0%} of the classes kept,"
        raise ExportError(
            f"expected the int8 file to compute what the model does within {bar:g}, got a relative "
            f"error of {found.error:.2g}{classes} over {len(samples)} calibration samples; "
            "calibrate on inputs as the network learned from, or export in fp32"
        )
    return target, found


def _write(model: nn.Module, sample: Tensor, file: Path) -> None:
    try:
        with _quiet():
            torch.onnx.export(
                model,
                (_inputs(sample, 2),),
                file,
                dynamo=True,
                external_data=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["input"],
                output_names=["output"],
                verbose=False,
            )
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ExportError(
            f"torch cannot export {type(model).__name__} to ONNX: {reason}"
        ) from error
    written = onnx.load(file)
    pool_globally(written)
    buffers = "\n".join(name for name, _ in model.named_buffers())
    onnx.helper.set_model_props(written, {BUFFERS: buffers})
    onnx.save(written, file)


def _checked(file: Path) -> int:
    """The file's opset."""
    loaded = onnx.load(file)
    try:
        onnx.checker.check_model(loaded, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exporter wrote an invalid file: {error}") from error
    batch = loaded.graph.input[0].type.tensor_type.shape.dim[0]
    if not batch.dim_param:
        raise ExportError(
            f"expected a free batch dimension, got {batch.dim_value}: the model's forward fixes it"
        )
    return int(loaded.opset_import[0].version)


def _parity(model: nn.Module, sample: Tensor, file: Path, tolerance: float) -> float:
    """Largest relative difference over the batch sizes."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    worst = 0.0
    for size in BATCH_SIZES:
        inputs = _inputs(sample, size)
        with torch.no_grad():
            expected = model(inputs).numpy()
        (got,) = session.run(None, {"input": inputs.numpy()})
        if got.shape != expected.shape:
            raise ExportError(f"expected outputs of shape {expected.shape}, got {got.shape}")
        scale = max(float(np.abs(expected).max()), 1e-12)
        worst = max(worst, float(np.abs(got - expected).max()) / scale)
    if not worst <= tolerance:
        raise ExportError(
            f"expected the file to compute what the model does within {tolerance:g}, got a "
            f"difference of {worst:.2g} at batch sizes {BATCH_SIZES}"
        )
    return worst


def _inputs(sample: Tensor, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randn(size, *sample.shape[1:], generator=generator)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own chatter (deprecations of its dependencies, progress on stdout) is not the
    user's.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    sink: Any = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sink):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

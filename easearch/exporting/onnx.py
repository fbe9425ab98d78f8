"""ONNX files: a free batch size, checked, compared with the model before they count.

torch's exporter has been seen to fix the batch size, to ignore dynamic shapes and to write a wrong
network: so the file is run at three batch sizes, and stands in its place only when the
outputs agree.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from easearch.errors import ExportError

BATCH_SIZES = (1, 2, 5)
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written, and how far its outputs are from the model's.

    `difference` is the largest of all outputs at all batch sizes, relative to the largest output.
    """

    path: Path
    difference: float
    batch_sizes: tuple[int, ...]
    opset: int
    nbytes: int


def export(model: nn.Module, sample: Tensor, path: Path | str) -> ExportReport:
    """Write the model as one ONNX file with a free batch dimension (`input` -> `output`), fp32.

    Args:
        model: left as it was; exported in evaluation mode, from the CPU.
        sample: one input (N, C, ...), of which only the shape behind N matters.
        path: where the file shall stand; nothing stands there unless it passed.

    Raises:
        ExportError: torch cannot export the model, the file is not valid, or its outputs differ
            from the model's by more than 1e-4.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # From a copy in torch's plain layout: channels last leaves transposes and gathers in the file.
    plain = copy.deepcopy(model).cpu().float().eval()
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / "model.onnx"
        _write(plain, sample, draft)
        opset = _checked(draft)
        difference = _parity(plain, sample, draft)
        draft.replace(path)
    return ExportReport(
        path=path,
        difference=difference,
        batch_sizes=BATCH_SIZES,
        opset=opset,
        nbytes=path.stat().st_size,
    )


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


def _checked(file: Path) -> int:
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


def _parity(model: nn.Module, sample: Tensor, file: Path) -> float:
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
    if not worst <= TOLERANCE:
        raise ExportError(
            f"expected the file to compute what the model does within {TOLERANCE:g}, got a "
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

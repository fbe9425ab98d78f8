"""ONNX files: a free batch size, checked, compared with the model before they count.

torch's exporter has been seen to fix the batch size, to ignore dynamic shapes and to write a wrong
network: so the file is run at three batch sizes, and stands in its place only when the
outputs agree. A file in int8 is made of one that passed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn

from easearch.checks.objects import check_model
from easearch.claims import writing
from easearch.errors import ExportError, nearest, reason_of
from easearch.exporting.parity import Parity, arrays
from easearch.exporting.quantize import (
    Agreement,
    Calibration,
    agreement,
    calibration_samples,
    quantize,
)
from easearch.exporting.subject import Subject, subject
from easearch.exporting.writing import checked, write
from easearch.files import write_files
from easearch.reparametrized import copied
from easearch.roles import PRECISIONS
from easearch.structures import Structure
from easearch.tracing.flat import Flat
from easearch.tracing.recording import quiet

TOLERANCE = {"fp32": 1e-4, "int8": 0.5}
"""fp32: the largest difference. int8: the largest relative error, or share of samples that change
class: a few in a hundred are usual, a file that errs by half is broken rather than coarse.
"""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written, and how far its outputs are from the model's.

    `difference` is the largest of all outputs at all batch sizes, relative to the largest value of
    the output. In int8 all three are over the calibration samples: `error` is the root mean square
    of the difference relative to that of the output (of several, the worst), `agreement` the share
    of samples whose class is the same, None where no output is scores of classes (N, K).
    """

    path: Path
    precision: str = "fp32"
    difference: float
    error: float | None = None
    agreement: float | None = None
    samples: int = 0
    """How many calibration samples were looked at."""
    batch_sizes: tuple[int, ...]
    """Where the file was compared; one alone where the model, and so the file, accepts no other."""
    opset: int
    nbytes: int
    inputs: tuple[str, ...] = ("input",)
    """Names in the file, in order."""
    outputs: tuple[str, ...] = ("output",)


def export(
    model: nn.Module,
    sample: Structure,
    path: Path | str,
    precision: str = "fp32",
    *,
    calibration: Iterable[Any] | Tensor | None = None,
    tolerance: float | None = None,
) -> ExportReport:
    """Write the model as one ONNX file with a free batch dimension.

    A single tensor is `input` in the file; several are named as the arguments of the forward pass
    or the entries of dicts are. A single output is `output`; several are named by the entries of a
    dict or the fields of a dataclass, else `output_0` and so on. Of what is nested, names are
    joined by dots.

    Args:
        model: left as it was; exported in evaluation mode, from the CPU, in float32.
        sample: an input as the model takes it: a tensor (N, C, ...), a tuple or list of positional
            ones, or a mapping of named ones. Its sizes count behind N, and N where the model
            accepts no other; of whole numbers, such as tokens, also the range.
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
    check_path(path)
    _check(precision, calibration)
    bar = TOLERANCE[precision] if tolerance is None else tolerance
    given = subject(model, sample)
    samples = None
    if precision == "int8" and calibration is not None:
        samples = calibration_samples(calibration, given)
    with tempfile.TemporaryDirectory() as folder:
        draft, coarse = Path(folder) / "model.onnx", None
        difference = _proven(given, draft, bar if samples is None else TOLERANCE["fp32"])
        if samples is not None:
            draft, coarse = _coarser(given, draft, samples, bar)
            difference = coarse.difference
        opset = checked(draft, given)
        with writing(path.parent):
            write_files(path.parent, {path.name: draft.read_bytes()})
    return ExportReport(
        path=path,
        precision=precision,
        difference=difference,
        error=coarse.error if coarse else None,
        agreement=coarse.top1 if coarse else None,
        samples=0 if samples is None else samples.number,
        batch_sizes=given.sizes,
        opset=opset,
        nbytes=path.stat().st_size,
        inputs=given.inputs,
        outputs=given.outputs,
    )


def check_path(path: Path) -> None:
    """Refuse a path at which no file can stand.

    Raises:
        ExportError: it is a folder, or something else that is no file.
    """
    if os.path.isdir(path):  # noqa: PTH112 - false for a name that is too long
        raise ExportError(
            f"expected the path of a file, got the folder {path}; name the file, such as "
            f"{path / 'model.onnx'}"
        )
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise ExportError(f"expected the path of a file, got {path}, which is none")


def _check(precision: str, calibration: Iterable[Any] | None) -> None:
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


def _proven(given: Subject, draft: Path, tolerance: float) -> float:
    """Write the file and hold it against the model; the largest difference.

    Of a model that gives nothing but zeros (a last layer that begins at zero) the file is proven on
    other numbers in place of the zero parameters.
    """
    write(given, draft)
    checked(draft, given)
    found = _compared(given, draft)
    if not found.proves:
        with tempfile.TemporaryDirectory() as folder:
            other, file = _enlivened(given), Path(folder) / "model.onnx"
            write(other, file)
            found = _compared(other, file)
        if not found.proves:
            raise ExportError(
                "expected outputs that can be compared, got zeros alone from the model on every "
                "check; nothing shows that the file computes the same"
            )
    if not found.difference <= tolerance:
        raise ExportError(
            f"expected the file to compute what the model does within {tolerance:g}, got "
            f"{found.worst()} at batch sizes {given.sizes}"
        )
    return found.difference


def _enlivened(given: Subject) -> Subject:
    """The same with parameters that are zero throughout drawn at random."""
    body = copied(given.flat.body)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in body.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1, generator=generator)
    other = replace(given, flat=Flat(body, given.flat.sample, (Tensor,)))
    return replace(other, checks=[(values, other.run(values)) for values, _ in given.checks])


def _compared(given: Subject, file: Path) -> Parity:
    """The file's outputs held against the model's at every check."""
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = Parity()
        for values, expected in given.checks:
            got = session.run(None, arrays(given.inputs, values))
            names = [value.name for value in session.get_outputs()]
            found.compare(expected, dict(zip(names, got, strict=True)))
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot run the exported {given.name}: {reason_of(error)}"
        ) from error
    return found


def _coarser(
    given: Subject, draft: Path, samples: Calibration, bar: float
) -> tuple[Path, Agreement]:
    """The draft in 8 bits, and how well it agrees."""
    target = draft.with_name("int8.onnx")
    with quiet():
        quantize(draft, target, samples)
    found = agreement(given, target, samples)
    if not found.loss <= bar:
        classes = "" if found.top1 is None else f", and {found.top1:.0%} of the classes kept,"
        raise ExportError(
            f"expected the int8 file to compute what the model does within {bar:g}, got a relative "
            f"error of {found.error:.2g}{classes} over {samples.number} calibration samples; "
            "calibrate on inputs as the network learned from, or export in fp32"
        )
    return target, found

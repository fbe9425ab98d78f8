"""The file that torch's exporter writes of a model, mended, named and checked for its form."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import torch
from torch import Tensor

from easearch.budget.exported.file import BUFFERS
from easearch.errors import ExportError, reason_of
from easearch.exporting.naming import name_values
from easearch.exporting.pooling import pool_globally
from easearch.exporting.subject import Subject
from easearch.tracing.recording import quiet

_OPERATOR = re.compile(r"OpOverload\(op='([\w.:]+)', overload='(\w+)'\)")


def write(given: Subject, file: Path) -> None:
    """Write the subject in float32, with its names.

    Raises:
        ExportError: torch cannot export it, with the operator where it is one.
    """
    values = given.sample
    shapes = None
    if not given.fixed:
        # An example of two: with one sample the exporter takes the batch for a constant.
        values = next(inputs for inputs, _ in given.checks[1:] if _rows(given, inputs) == 2)
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} if free else {} for free in given.free)
    try:
        with quiet():
            torch.onnx.export(
                given.flat.module,
                values,
                file,
                dynamo=True,
                external_data=False,
                dynamic_shapes=shapes,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(_cannot(given.name, error)) from error
    written = onnx.load(file)
    pool_globally(written)
    buffers = "\n".join(name for name, _ in given.flat.body.named_buffers())
    onnx.helper.set_model_props(written, {BUFFERS: buffers})
    name_values(written, given.inputs, given.outputs)
    onnx.save(written, file)


def _rows(given: Subject, values: tuple[Tensor, ...]) -> int:
    return next(len(x) for x, free in zip(values, given.free, strict=True) if free)


def _cannot(name: str, error: BaseException) -> str:
    reason = reason_of(error)
    operator = _OPERATOR.search(reason)
    if operator:
        called = ".".join(part for part in operator.groups() if part != "default")
        return (
            f"torch cannot export {name} to ONNX: the operator {called} has no form there; write "
            "that part of the forward pass with other operators"
        )
    return (
        f"torch cannot export {name} to ONNX: {reason}; the forward pass must be the same for "
        "all values and batch sizes"
    )


def checked(file: Path, given: Subject) -> int:
    """The opset of a file that is valid and leaves the batch free where the model does.

    Raises:
        ExportError: it is not, or does not.
    """
    loaded = onnx.load(file)
    try:
        onnx.checker.check_model(loaded, full_check=True)
    except Exception as error:
        raise ExportError(f"the exporter wrote an invalid file: {reason_of(error)}") from error
    for value, free in zip(loaded.graph.input, given.free, strict=True):
        if free and not value.type.tensor_type.shape.dim[0].dim_param:
            size = value.type.tensor_type.shape.dim[0].dim_value
            raise ExportError(
                f"expected a free batch dimension of '{value.name}', got {size}: the model's "
                "forward fixes it"
            )
    return int(loaded.opset_import[0].version)

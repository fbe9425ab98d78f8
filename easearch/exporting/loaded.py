"""An exported file as a model: what computes there can be judged as any network is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from easearch.errors import ExportError, reason_of
from easearch.exporting.parity import arrays


class Exported(nn.Module):
    """Runs an exported file on the CPU with ONNX Runtime; outputs come back to the inputs' device.

    It takes a tensor for every input of the file, in order or by name. A single output comes as a
    tensor, several as a dict by name.

    Raises:
        ExportError: ONNX Runtime cannot load it.
    """

    def __init__(self, file: Path | str) -> None:
        super().__init__()
        try:
            self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ExportError(
                f"ONNX Runtime cannot load {Path(file).name}: {reason_of(error)}"
            ) from error
        self.inputs = tuple(value.name for value in self.session.get_inputs())
        self.outputs = tuple(value.name for value in self.session.get_outputs())

    def forward(self, *positional: Tensor, **keywords: Tensor) -> Tensor | dict[str, Tensor]:
        """Outputs of inputs (N, ...)."""
        given = dict(zip(self.inputs, positional, strict=False)) | keywords
        if len(positional) > len(self.inputs) or given.keys() != set(self.inputs):
            raise ExportError(
                f"expected the file's inputs {', '.join(self.inputs)}, got {len(positional)} "
                f"without a name and {', '.join(keywords) or 'none'} by name"
            )
        found = self.named(given)
        return found[self.outputs[0]] if len(found) == 1 else found

    def named(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name, of inputs by name."""
        device = next(iter(given.values())).device
        values = self.session.run(None, arrays(tuple(given), tuple(given.values())))
        return {
            name: torch.from_numpy(value).to(device)
            for name, value in zip(self.outputs, values, strict=True)
        }

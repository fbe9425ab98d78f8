"""An exported file as a model: what computes there can be judged as any network is."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from easearch.errors import ExportError


class Exported(nn.Module):
    """Runs an exported file on the CPU with ONNX Runtime; outputs come back to the inputs' device.

    Raises:
        ExportError: ONNX Runtime cannot load it.
    """

    def __init__(self, file: Path | str) -> None:
        super().__init__()
        try:
            self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot load {Path(file).name}: {error}") from error

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of inputs (N, C, ...)."""
        (outputs,) = self.session.run(None, {"input": inputs.cpu().contiguous().numpy()})
        return torch.from_numpy(outputs).to(inputs.device)

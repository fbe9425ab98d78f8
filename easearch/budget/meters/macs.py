"""MACs: multiply-adds of one sample (1 multiply-add = 1)."""

from __future__ import annotations

from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters.meter import KindMeter, Reading
from easearch.graph import Shape
from easearch.tracing import KINDS


class Macs(KindMeter):
    """Multiply-adds of convolutions and linear layers, as fvcore and the papers count them."""

    name = "macs"
    unit = "MACs"

    def count(self, shape: Shape) -> int:
        """The kind's own count."""
        return KINDS[shape.kind].macs(shape) if shape.kind in KINDS else 0

    def on_file(self, file: OnnxFile) -> Reading:
        """MACs of the file's Conv, Gemm and MatMul nodes."""
        return Reading(value=float(file.macs()))

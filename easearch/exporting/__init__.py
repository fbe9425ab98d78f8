"""Files that a runtime executes, each proven to compute what the model computes."""

from easearch.exporting.loaded import Exported
from easearch.exporting.onnx import ExportReport, export

__all__ = ["ExportReport", "Exported", "export"]

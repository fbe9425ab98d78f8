"""Parameters: trainable numbers of the network."""

from __future__ import annotations

from collections.abc import Sequence

from easearch.budget.meter import KindMeter, Reading
from easearch.budget.onnx_file import OnnxFile
from easearch.graph import Graph, Shape
from easearch.roles import Item
from easearch.tracing import KINDS


class Params(KindMeter):
    """Weights, biases, scales and shifts; running statistics are not trained and not counted."""

    name = "params"
    unit = "params"

    def count(self, shape: Shape) -> int:
        """The kind's own count."""
        return KINDS[shape.kind].params(shape) if shape.kind in KINDS else 0

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every layer that owns parameters; a module called twice owns them once."""
        (items,) = super().moments(graph)
        return (tuple(item for item in items if not _repeats(graph, item[0])),)

    def on_file(self, file: OnnxFile) -> Reading:
        """Numbers in the file's weights."""
        return Reading(
            value=float(file.params()),
            note="norms behind a convolution are folded into its weight and bias",
        )


def _repeats(graph: Graph, layer: str) -> bool:
    path, _, call = layer.rpartition("@")
    return call.isdigit() and path in graph.by_name

"""Parameters: trainable numbers of the network."""

from __future__ import annotations

from collections.abc import Sequence

from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters.meter import KindMeter, Reading
from easearch.graph import Graph, Layer, Shape
from easearch.roles import Item
from easearch.tracing import KINDS

BUFFERS = ("running_mean", "running_var")
"""Roles of tensors that are not trained."""


class Params(KindMeter):
    """Weights, biases, scales and shifts; running statistics are not trained and not counted."""

    name = "params"
    unit = "params"

    def count(self, shape: Shape) -> int:
        """The kind's own count, without the tensors that a layer before it holds already.

        Of weight and bias one alone may be shared; a bias is one number a channel written.
        """
        if shape.kind not in KINDS:
            return 0
        everything, options = KINDS[shape.kind].params(shape), dict(shape.options)
        shared = set(shape.shared) - set(BUFFERS)
        biased = options.get("bias", options.get("affine", False))
        if not shared:
            return everything
        if shared == {"bias"}:
            return everything - shape.out_channels
        return shape.out_channels if biased and shared == {"weight"} else 0

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """One moment: every layer that owns parameters. A tensor is the first holder's."""
        (items,) = super().moments(graph)
        unknown = self.uncounted(graph)
        return (tuple(item for item in items if item[0] not in unknown),)

    def uncounted(self, graph: Graph) -> tuple[str, ...]:
        """Opaque layers, and those behind them whose channels nobody knows."""
        unknown = (layer.name for layer in graph.layers if _unknown(layer))
        return tuple(dict.fromkeys((*super().uncounted(graph), *unknown)))

    def on_file(self, file: OnnxFile) -> Reading:
        """Numbers in the file's weights."""
        return Reading(
            value=float(file.params()),
            note="norms behind a convolution are folded into its weight and bias",
        )


def _unknown(layer: Layer) -> bool:
    return not layer.writes and any(held.rows is not None for held in layer.tensors)

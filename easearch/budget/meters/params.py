"""Parameters: trainable numbers of the network."""

from __future__ import annotations

from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters.meter import KindMeter, Reading
from easearch.graph import Graph, Layer, Shape
from easearch.tracing.training_only import UNUSED


class Params(KindMeter):
    """Weights, biases, scales and shifts: all parameters of the model, each tensor once.

    Those of layers that easearch does not know are counted as they are; a weight that is computed
    (weight norm, a pruning mask) counts as the weight, which is what the file holds. Buffers, such
    as running statistics, are not trained and not counted.
    """

    name = "params"
    unit = "params"

    def count(self, shape: Shape) -> int:
        """Those of the layer's tensors that no layer before it holds."""
        return shape.numbers(trained=True)

    def overhead(self, graph: Graph) -> float:
        """Parameters that the network is saved with and does not compute with."""
        return float(sum(numbers for _, numbers in graph.unused))

    def uncounted(self, graph: Graph) -> tuple[str, ...]:
        """None."""
        return ()

    def note(self, graph: Graph) -> str:
        """Which parameters are in no layer."""
        idle = {layer.name: self.count(graph.shape(layer.name)) for layer in _idle(graph)}
        names = [*(path for path, _ in graph.unused), *(name for name in idle if idle[name])]
        if not names:
            return ""
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return (
            f"{self.overhead(graph) + sum(idle.values()):,.0f} are not used by the network in "
            f"evaluation mode, and not in its file: {listed}"
        )

    def on_file(self, file: OnnxFile) -> Reading:
        """Numbers in the file's weights."""
        return Reading(
            value=float(file.params()),
            note="norms behind a convolution are folded into its weight and bias",
        )


def _idle(graph: Graph) -> list[Layer]:
    """The layers that help to train and are not there when the network is used."""
    return [layer for layer in graph.layers if layer.kind == UNUSED]

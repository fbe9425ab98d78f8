"""Memory: the peak of living activations while one fp32 sample passes."""

from __future__ import annotations

from collections.abc import Sequence

from easearch.budget.devices import Device
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.kernels import MATRIX_KINDS, VIEWS
from easearch.budget.meters.meter import LayerMeter, Reading
from easearch.graph import Graph, Layer, Shape
from easearch.roles import Item
from easearch.tracing.training_only import evaluated
from easearch.tracing.walk import INPUT

BYTES = 4
QUANTIZED = "counted in float32; most values of a quantized file take a quarter of that"
ELEMENTWISE = ("activation", "prelu", "add", "mul")
"""Kinds that change number by number; with one input they need no other place for the result."""


class Memory(LayerMeter):
    """Peak activation memory by liveness, layers taken in the graph's own order.

    A value lives from the layer that makes it to the last that uses it; outputs live to the end.
    Reshapes and dropout are views; permutations, parts and concatenations are copies. A norm right
    behind a convolution, an activation and arithmetic with a number or a parameter work in place
    where nobody else needs their input. Weights are not counted: `params` has them.
    """

    name = "memory"
    unit = "bytes"

    def __init__(self, device: str | Device = "host", precision: str = "fp32") -> None:
        """Take `device` so that all meters are made alike: counting needs none."""
        self.precision = precision

    def note(self, graph: Graph) -> str:
        """In int8: that a quantized file keeps some values in one byte."""
        return QUANTIZED if self.precision == "int8" else ""

    def moments(self, graph: Graph) -> Sequence[Sequence[Item]]:
        """The values alive, a moment a step; steps that hold no more than another are left out."""
        steps = [frozenset(step) for step in _alive(graph)]
        distinct = list(dict.fromkeys(steps))
        kept = [step for step in distinct if not any(step < other for other in distinct)]
        order = {layer.name: i for i, layer in enumerate(graph.layers)}
        return tuple(
            tuple((owner,) for owner in sorted(step, key=order.__getitem__)) for step in kept
        )

    def charges(self, graph: Graph, items: Sequence[tuple[Shape, ...]]) -> list[float]:
        """Bytes of each item's output."""
        return [float(BYTES * item[-1].out_channels * item[-1].positions) for item in items]

    def on_file(self, file: OnnxFile) -> Reading:
        """The same liveness over the file's own tensors."""
        value, note = file.memory()
        return Reading(value=value, note=note)


def _alive(graph: Graph) -> list[list[str]]:
    graph = evaluated(graph)
    owner = owners(graph)
    index = {layer.name: i for i, layer in enumerate(graph.layers)}
    end: dict[str, int] = {}
    for layer in graph.layers:
        uses = [index[user] for user in graph.consumers[layer.name]] or [len(index) - 1]
        end[owner[layer.name]] = max(end.get(owner[layer.name], 0), index[layer.name], *uses)
    return [[name for name in end if index[name] <= now <= end[name]] for now in range(len(index))]


def owners(graph: Graph) -> dict[str, str]:
    """For every layer, the layer whose storage holds its output (itself, or its source)."""
    owner: dict[str, str] = {}
    for layer in graph.layers:
        shared = layer.kind in VIEWS or _in_place(graph, layer)
        owner[layer.name] = owner[layer.inputs[0]] if shared else layer.name
    return owner


def _in_place(graph: Graph, layer: Layer) -> bool:
    if len(layer.inputs) != 1:
        return False
    source = graph.by_name[layer.inputs[0]]
    while source.kind in VIEWS and len(graph.consumers[source.name]) == 1:
        source = graph.by_name[source.inputs[0]]
    alone = len(graph.consumers[source.name]) == 1 == len(graph.consumers[layer.inputs[0]])
    behind_matrix = layer.kind == "batch_norm" and source.kind in MATRIX_KINDS
    return alone and source.kind != INPUT and (layer.kind in ELEMENTWISE or behind_matrix)

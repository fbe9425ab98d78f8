"""A group's unit at zero incoming weights: the virtual kernel from the writers' inputs straight to
the readers' outputs, by its products.

Legend: C channels, D numbers that a channel owns, O in its columns; B (O, D) the loss's gradient at
the virtual kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.graph import ChannelGroup, Graph, Layer
from easearch.scoring.newborn.neuron_batches import NewNeuronBatch, parts_of
from easearch.scoring.newborn.neuron_pool import MEAN, VARIANCE, Learning, NewNeuronPool, epsilon
from easearch.scoring.samples.capture import Captured
from easearch.scoring.samples.gradients import gradients
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.curvature import slopes
from easearch.scoring.units.unit import REACH, Run

ABOVE = 1e-6
"""How far above zero a slope is taken."""
NORMS = ("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm")
SMALL = 1e-30
"""What divides by no less."""


@dataclass(frozen=True, kw_only=True)
class Linear(Run):
    """An evaluation that is differentiated at zero incoming weights."""


class Straight(NewNeuronPool):
    """A unit at zero incoming weights; norms with running statistics are the identity in it.

    Attributes:
        base: (1, D), what a newborn owns besides its incoming weights.
        steered: (D,), which numbers are incoming weights.
        row_size: typical length of a channel's incoming weights, those of all writers together.
    """

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        group: ChannelGroup,
        wires: TracedProgram,
        *,
        published: bool,
    ) -> None:
        super().__init__(model, graph, group, wires)
        self._published, self._twice = published, True
        kinds = {part.key: part.kind for part in parts_of(self)}
        wholes = {key: _at_zero(kinds[key], value) for key, value in self.held.items()}
        theta = self.theta
        self.base = self.pack(wholes).mean(0, keepdim=True) if self.slots else theta[:1]
        self.steered = torch.zeros(theta.shape[1], dtype=torch.bool, device=theta.device)
        squares = 0.0
        for part in parts_of(self):
            if part.kind == "row":
                self.steered[part.numbers] = True
                squares += part.size**2
        self.row_size = squares**0.5

    @property
    def blown(self) -> bool:
        """Whether a norm brings a neuron of any size to its own: one that cannot be born as the
        identity.
        """
        return any(layer.kind in NORMS and not self._scalable(layer) for layer in self.layers)

    def _scalable(self, layer: Layer) -> bool:
        held = self.norms.get(layer.name, {})
        return {"weight", "bias"} <= held.keys() and held["weight"].path in self.held

    def times(self, right: Tensor, captured: Captured) -> Tensor:
        """(C, D) -> (C, O): `B v` for every channel's v, summed over the batch's samples.

        Twice backward; by differences where torch cannot differentiate an operator twice.
        """
        if self._twice:
            try:
                return self._twice_backward(right, captured)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                self._twice = False
        base = self.base.expand(self.width, -1)
        step = REACH * self.row_size / right.norm(dim=1, keepdim=True).clamp(min=SMALL)
        above, below = (
            self.columns.pack(self._at_weights(base + sign * step * right, captured))
            for sign in (1.0, -1.0)
        )
        found: Tensor = (above - below) / (2 * step)
        return found

    def back(self, left: Tensor, captured: Captured) -> Tensor:
        """(C, O) -> (C, D): `B'o` for every channel's o, summed over the batch's samples."""
        leaves, weights = self._leaves(), self._weights(left)
        with torch.enable_grad():
            outputs = self._outputs(leaves, weights, captured)
            found = gradients(outputs, list(leaves.values()), self._gradients(captured))
        return self.pack(dict(zip(leaves, found, strict=True))) * self.steered

    def _twice_backward(self, right: Tensor, captured: Captured) -> Tensor:
        leaves, weights = self._leaves(), self._weights(None)
        tangents = self.unpack(right)
        with torch.enable_grad():
            outputs = self._outputs(leaves, weights, captured)
            first = gradients(
                outputs, list(leaves.values()), self._gradients(captured), create_graph=True
            )
            pairs = zip(first, tangents.values(), strict=True)
            along = torch.stack([(one * tangent).sum() for one, tangent in pairs]).sum()
            second = gradients(along, list(weights.values()))
        return self.columns.pack(dict(zip(weights, second, strict=True)))

    def _at_weights(self, rows: Tensor, captured: Captured) -> dict[str, Tensor]:
        """The gradient at the readers' weights, with incoming weights (C, D)."""
        weights = self._weights(None)
        with torch.no_grad():
            run = self.go(Linear(own=self.unpack_over(rows), edges=captured.values))
        with torch.enable_grad():
            outputs = self.reading(run, weights)
            found = gradients(outputs, list(weights.values()), self._gradients(captured))
        return dict(zip(weights, found, strict=True))

    def judge(self, rows: Tensor, statistics: Tensor, captured: Captured) -> Tensor:
        """As published a birth is judged by what its first step makes of it, to first order."""
        if self._published:
            return self.times(rows - self.base, captured)
        return super().judge(rows, statistics, captured)

    def offset(self, row: Tensor) -> dict[str, Tensor]:
        """As published the incoming weights are zero."""
        return super().offset(torch.where(self.steered, 0.0, row) if self._published else row)

    def as_identity(self, brood: NewNeuronBatch) -> NewNeuronBatch:
        """The newborns with norms that change nothing: scale and shift are their own statistics."""
        rows = brood.rows.clone()
        numbers = {part.key: part.numbers for part in parts_of(self)}
        start, known = 0, {}
        for slot in self.statistics.slots:
            known[slot.key] = brood.statistics[:, start : start + slot.taps]
            start += slot.taps
        for layer in self.layers:
            if self._scalable(layer):
                held = self.norms[layer.name]
                variance = known[held[VARIANCE].path]
                eps = epsilon(self.wires.module(self.wires.node(layer)))
                rows[:, numbers[held["weight"].path]] = (variance + eps).sqrt()
                rows[:, numbers[held["bias"].path]] = known[held[MEAN].path]
        return replace(brood, rows=rows)

    def _leaves(self) -> dict[str, Tensor]:
        own = self.unpack_over(self.base.expand(self.width, -1))
        return {key: value.requires_grad_() for key, value in own.items()}

    def _weights(self, out: Tensor | None) -> dict[str, Tensor]:
        held = self.columns.held if out is None else self.columns.unpack(out)
        return {key: value.detach().requires_grad_() for key, value in held.items()}

    def _outputs(
        self, leaves: dict[str, Tensor], weights: dict[str, Tensor], captured: Captured
    ) -> list[Tensor]:
        run = self.go(Linear(own=leaves, edges=captured.values))
        return self.reading(run, weights)

    def _gradients(self, captured: Captured) -> list[Tensor]:
        return [captured.gradients[reader.name, ""] for reader in self.readers]

    def _value(self, layer: Layer, run: Run) -> Tensor:
        node = self.wires.node(layer)
        passed = layer.kind == "prelu" or (layer.kind in NORMS and self._scalable(layer))
        if isinstance(run, Linear) and passed:
            x: Tensor = self._operand(node.all_input_nodes[0], node, False, run)
            return x
        if isinstance(run, Linear) and layer.kind == "activation" and torch.is_grad_enabled():
            return self._from_above(layer, node, run)
        return super()._value(layer, run)

    def _from_above(self, layer: Layer, node: fx.Node, run: Run) -> Tensor:
        """An activation as a straight line, where its slope jumps that from above; not all of
        torch's can be differentiated twice.
        """
        z: Tensor = self._operand(node.all_input_nodes[0], node, False, run)
        fixed = z.detach()
        with torch.no_grad():
            value, slope, _ = slopes(dict(layer.options), fixed + ABOVE)
        return value + slope * (z - fixed)

    def _normed(self, layer: Layer, node: fx.Node, run: Learning) -> Tensor:
        """Statistics are learnt; what comes in passes, where scale and shift can let it."""
        normed = super()._normed(layer, node, run)
        if not self._scalable(layer):
            return normed
        x: Tensor = self._operand(node.all_input_nodes[0], node, False, run)
        return x


# --- formulas


def _at_zero(kind: str, value: Tensor) -> Tensor:
    """Zero incoming weights and shifts; kernels that are 1 in their centre; scales as they are."""
    if kind == "scale":
        return value
    zero = torch.zeros_like(value)
    if kind == "kernel":
        rows = torch.arange(len(value), device=value.device)
        centre: list[Any] = [size // 2 for size in value.shape[2:]]
        zero[(rows, rows % value.shape[1], *centre)] = 1.0
    return zero

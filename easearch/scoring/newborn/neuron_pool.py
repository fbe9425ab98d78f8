"""One group's part of the network with newborn channels in the places of its own.

A newborn is a channel like any other: its rows in the writers, its norms, its depthwise kernels. So
the group's unit, run with the newborns' rows in place of the channels', gives what C of them would
compute, and the gradient of every reader's weight at a newborn's columns is what the loss wants of
these columns: `M = sum over samples of dL/dW[newborn]`. To first order in the rest of the network
columns `out` gain `-<M, out>` (docs/methods.md, 7).

Legend: C channels, D numbers that a channel owns, S of its norms' statistics, O in its columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn

from easearch.graph import ChannelGroup, Graph, Held, Layer
from easearch.scoring.samples.capture import Captured, Edge
from easearch.scoring.samples.gradients import gradients
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.curvature import along
from easearch.scoring.units.rows import Slot, Table, stretches
from easearch.scoring.units.scope import into
from easearch.scoring.units.unit import Run, Unit

MEAN, VARIANCE = "running_mean", "running_var"


@dataclass(frozen=True, kw_only=True)
class Learning(Run):
    """An evaluation in which norms take the batch's own statistics, which are summed up here."""

    samples: int
    moments: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one batch says of C newborns: sums over its samples."""

    wanted: Tensor
    """(C, O): M, the gradient at their columns."""
    slope: Tensor | None
    """(C, D): of `<M, out>` along their rows; None where it was not asked for."""
    statistics: Tensor
    """(C, S): mean and unbiased variance of what comes into each norm, times the samples."""


class NewNeuronPool(Unit):
    """A unit that is run with newborns, and its readers.

    Attributes:
        columns: the group's columns in the readers' weights.
        statistics: the running means and variances of its norms.
        unread: None, or why no columns can be given to a newborn, as a sentence.
    """

    def __init__(
        self, model: nn.Module, graph: Graph, group: ChannelGroup, wires: TracedProgram
    ) -> None:
        super().__init__(model, graph, group, "unit", wires)
        parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
        self.readers = tuple(graph.by_name[name] for name in group.readers)
        self.unread = _unread(graph, group, parameters)
        known = {path: t for path, t in parameters.items() if self.unread is None}
        self.columns = Table(group.width, tuple(_columns(graph, group, known)), parameters)
        self.norms = {layer.name: held for layer in self.layers if (held := _tracked(layer))}
        self._calls = Counter(one.path for held in self.norms.values() for one in held.values())
        slots = tuple(_statistics(graph, group, self.layers, self.norms))
        self.statistics = Table(group.width, slots, {**parameters, **buffers})

    @property
    def values(self) -> set[Edge]:
        """The edges whose values a run needs."""
        outside = (
            (source, self.wires.names[consumer])
            for reader in self.readers
            for source, consumer in into(self.graph, self.wires, self.wires.node(reader))
            if source not in self._inside
        )
        return {*self.entrances, *outside}

    @property
    def gradients(self) -> set[Edge]:
        """The readers' outputs."""
        return {(reader.name, "") for reader in self.readers}

    def learn(self, rows: Tensor, captured: Captured, out: Tensor | None = None) -> Seen:
        """M at rows (C, D), with norms as in training; with columns `out` (C, O) the slope too."""
        leaves = self.unpack_over(rows)
        moments = {path: torch.zeros_like(t) for path, t in self.statistics.held.items()}
        learning = Learning(
            own=leaves, edges=captured.values, samples=captured.samples, moments=moments
        )
        if out is not None:
            for leaf in leaves.values():
                leaf.requires_grad_()
        with torch.set_grad_enabled(out is not None):
            self.go(learning)
        wanted, slopes = self.read(learning, captured, out, leaves if out is not None else {})
        return Seen(
            wanted=wanted,
            slope=None if out is None else self.pack(slopes),
            statistics=self.statistics.pack(moments) if moments else rows.new_zeros(len(rows), 0),
        )

    def judge(self, rows: Tensor, statistics: Tensor, captured: Captured) -> Tensor:
        """(C, O): M at rows (C, D) whose norms hold these statistics (C, S)."""
        own = {**self.unpack_over(rows), **self.statistics.unpack_over(statistics)}
        with torch.no_grad():
            run = self.go(Run(own=own, edges=captured.values))
        return self.read(run, captured)[0]

    def read(
        self,
        run: Run,
        captured: Captured,
        out: Tensor | None = None,
        leaves: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """M (C, O) of a run, and the gradient of `<M, out>` at the leaves."""
        held = self.columns.held if out is None else self.columns.unpack(out)
        weights = {key: value.detach().requires_grad_() for key, value in held.items()}
        leaves = leaves or {}
        with torch.enable_grad():
            found = gradients(
                self.reading(run, weights),
                [*weights.values(), *leaves.values()],
                [captured.gradients[reader.name, ""] for reader in self.readers],
            )
        wanted = self.columns.pack(dict(zip(weights, found, strict=False)))
        return wanted, dict(zip(leaves, found[len(weights) :], strict=True))

    def reading(self, run: Run, weights: Mapping[str, Tensor]) -> list[Tensor]:
        """Every reader's output after a run, with these weights."""
        own = replace(run, own=weights)
        return [self._called(self.wires.node(reader), False, own) for reader in self.readers]

    def mean_statistics(self, sums: Tensor, samples: int) -> Tensor:
        """(C, S) from the sums of all batches; a norm that is called twice has seen them twice."""
        calls = [
            float(self._calls[slot.key]) for slot in self.statistics.slots for _ in range(slot.taps)
        ]
        return sums / (samples * sums.new_tensor(calls))

    def _value(self, layer: Layer, run: Run) -> Tensor:
        node = self.wires.node(layer)
        if isinstance(run, Learning) and layer.name in self.norms:
            return self._normed(layer, node, run)
        result: Tensor = self._called(node, self._mixes(layer), run)
        return result

    def _normed(self, layer: Layer, node: fx.Node, run: Learning) -> Tensor:
        """A norm with running statistics as in training: with those of the batch."""
        x: Tensor = self._operand(node.all_input_nodes[0], node, False, run)
        places = [axis for axis in range(x.dim()) if axis != layer.out_axis]
        variance, mean = torch.var_mean(x, dim=places, correction=0)
        number = x.numel() // len(mean)
        held = self.norms[layer.name]
        with torch.no_grad():
            run.moments[held[MEAN].path] += run.samples * mean
            run.moments[held[VARIANCE].path] += run.samples * variance * number / max(number - 1, 1)
        scale = torch.rsqrt(variance + epsilon(self.wires.module(node)))
        if "weight" in held:
            scale = scale * self.wires.held(held["weight"].path, run.own)
        shift = -mean * scale
        if "bias" in held:
            shift = shift + self.wires.held(held["bias"].path, run.own)
        axis = layer.out_axis
        return torch.addcmul(along(shift, x, axis), x, along(scale, x, axis))


def epsilon(norm: nn.Module | None) -> float:
    """What a norm adds to the variance; torch's default where it is a function that is called."""
    return float(getattr(norm, "eps", 1e-5))


def _tracked(layer: Layer) -> dict[str, Held]:
    """A norm's tensors by role, if it has running statistics; else nothing."""
    held = {one.role: one for one in layer.tensors}
    return held if MEAN in held and VARIANCE in held else {}


def _unread(graph: Graph, group: ChannelGroup, parameters: Mapping[str, Tensor]) -> str | None:
    if not group.readers:
        return "no layer mixes these channels: there are no columns to give to a newborn"
    for name in group.readers:
        reader = graph.by_name[name]
        held = [one for one in reader.tensors if one.columns is not None]
        if not held:
            return f"'{name}' ({reader.kind}) reads these channels and is no linear layer"
        if any(one.path not in parameters for one in held):
            return f"the weight of '{name}' is not a parameter: it cannot give a newborn columns"
    return None


def _columns(graph: Graph, group: ChannelGroup, parameters: Mapping[str, Tensor]) -> Iterator[Slot]:
    seen: set[str] = set()
    for name in group.readers:
        reader = graph.by_name[name]
        for held in reader.tensors:
            if held.columns is not None and held.path in parameters and held.path not in seen:
                seen.add(held.path)
                places = stretches(graph, reader.reads, group)
                yield Slot(key=held.path, axis=held.columns, stretches=places)


def _statistics(
    graph: Graph,
    group: ChannelGroup,
    layers: tuple[Layer, ...],
    norms: Mapping[str, Mapping[str, Held]],
) -> Iterator[Slot]:
    seen: set[str] = set()
    for layer in layers:
        places = stretches(graph, layer.writes, group)
        for role in (MEAN, VARIANCE) if layer.name in norms else ():
            held = norms[layer.name][role]
            if places and held.rows is not None and held.path not in seen:
                seen.add(held.path)
                yield Slot(key=held.path, axis=held.rows, stretches=places)

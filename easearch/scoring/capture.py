"""What flows into and out of the channel groups: inputs of layers, and the loss's gradient at their
input edges.

The gradient is taken at the *edge* into a reader, not at the value: a value that several layers
read has a gradient for each of them, and only its reader's belongs to a group's exit
(docs/methods.md, 3).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.errors import ScoringError
from easearch.roles import Loss
from easearch.tracing.program import layer_names, program

Edge = tuple[str, str]
"""(source layer, consumer layer); an empty consumer means the source's output, for all its
consumers together.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Captured:
    """One batch: values and gradients at edges, of the *sum* of the samples' losses."""

    samples: int
    loss: float
    values: dict[Edge, Tensor]
    gradients: dict[Edge, Tensor]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes (a value and its gradient are counted where they are stored)."""
        return size(self.tensors())

    def tensors(self) -> Iterator[Tensor]:
        """All that is held."""
        yield from self.values.values()
        yield from self.gradients.values()

    def part(self, rows: slice) -> Captured:
        """Some of the samples, as views; the loss stays the batch's."""
        return Captured(
            samples=len(range(self.samples)[rows]),
            loss=self.loss,
            values={edge: t[rows] for edge, t in self.values.items()},
            gradients={edge: t[rows] for edge, t in self.gradients.items()},
        )


class Capturer(fx.Interpreter):
    """Runs the model on a batch and keeps what the edges asked for carry."""

    def __init__(self, model: nn.Module, values: Iterable[Edge], gradients: Iterable[Edge]) -> None:
        traced = program(model)
        super().__init__(traced, garbage_collect_values=True)
        self.names = layer_names(traced)
        self._wanted = frozenset(values)
        self._differentiated = frozenset(gradients)
        self._seen: dict[Edge, Tensor] = {}

    def capture(self, inputs: Any, targets: Any, loss: Loss) -> Captured:
        """One forward and one backward pass. Parameters' `.grad` and the random state are not
        touched.
        """
        self._seen = {}
        samples = len(targets)
        with torch.enable_grad():
            outputs = self.run(*(inputs if isinstance(inputs, tuple | list) else (inputs,)))
            mean = loss(outputs, targets)
            value = _checked(mean)
            edges = [edge for edge in self._seen if edge in self._differentiated]
            gradients = torch.autograd.grad(
                mean * samples,
                [self._seen[edge] for edge in edges],
                materialize_grads=True,
                allow_unused=True,
            )
        return Captured(
            samples=samples,
            loss=value,
            values={e: t.detach() for e, t in self._seen.items() if e in self._wanted},
            gradients=dict(zip(edges, gradients, strict=True)),
        )

    def run_node(self, n: fx.Node) -> Any:
        """Run one node on its edges' values; pass its output on as an edge if asked."""
        consumer = self.names[n]
        edges = {source: self._edge(source, consumer) for source in n.all_input_nodes}
        args = fx.node.map_arg(n.args, lambda source: edges[source])
        kwargs = fx.node.map_arg(n.kwargs, lambda source: edges[source])
        result = getattr(self, n.op)(n.target, args, kwargs)
        return self._keep((consumer, ""), result)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """As in the model, but `x += y` makes a new value: the old one may have been kept."""
        return super().call_function(
            operator.add if target is operator.iadd else target, args, kwargs
        )

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        """As in the model, but never in place."""
        return super().call_method(target.removesuffix("_"), args, kwargs)

    def _edge(self, source: fx.Node, consumer: str) -> Any:
        return self._keep((self.names[source], consumer), self.env[source])

    def _keep(self, edge: Edge, value: Any) -> Any:
        if edge in self._differentiated:
            # A view of its own makes the edge a place where the gradient can be read off.
            value = value.view_as(value) if value.requires_grad else value.detach().requires_grad_()
        if edge in self._differentiated or edge in self._wanted:
            self._seen[edge] = value
        return value


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes that tensors hold; what several of them share is counted once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def _checked(mean: Tensor) -> float:
    if mean.dim() != 0:
        raise ScoringError(
            "expected the loss to be the mean over the batch, a scalar, got a tensor of shape "
            f"{tuple(mean.shape)}"
        )
    value = float(mean.detach())
    if value != value or value in (float("inf"), float("-inf")):
        raise ScoringError(
            f"the loss of a batch is {value}: lower the rate or check the inputs, then score"
        )
    return value

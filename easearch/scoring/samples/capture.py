"""What flows into and out of the channel groups: inputs of layers, and the loss's gradient at their
input edges.

The gradient is taken at the *edge* into a reader, not at the value: a value that several layers
read has a gradient for each of them, and only its reader's belongs to a group's exit
(docs/methods.md, 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.checks.batches import formed, samples_in
from easearch.checks.losses import finite, loss_at
from easearch.errors import EasearchError, ScoringError, reason_of
from easearch.roles import Loss
from easearch.scoring.samples.folding import Folded, active, folds
from easearch.scoring.samples.gradients import gradients
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.tracing.in_place import asks_for_form

Edge = tuple[str, str]
"""(source layer, consumer); an empty consumer means the source's output, for all its consumers
together. Consumers are calls of the program under their names there: layers, or what stands between
two (wires.py).
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Captured:
    """One batch: values and gradients at edges, of the *sum* of the samples' losses."""

    samples: int
    loss: float
    values: dict[Edge, Any]
    """Tensors; inputs of the network that are none as they are."""
    gradients: dict[Edge, Tensor]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes (a value and its gradient are counted where they are stored)."""
        return size(self.tensors())

    def tensors(self) -> Iterator[Tensor]:
        """All that is held."""
        yield from (value for value in self.values.values() if isinstance(value, Tensor))
        yield from self.gradients.values()

    def part(self, rows: slice) -> Captured:
        """Some of the samples, as views; the loss stays the batch's."""
        return Captured(
            samples=len(range(self.samples)[rows]),
            loss=self.loss,
            values={e: t[rows] if isinstance(t, Tensor) else t for e, t in self.values.items()},
            gradients={edge: t[rows] for edge, t in self.gradients.items()},
        )


class Capturer(fx.Interpreter):
    """Runs the model on a batch and keeps what the edges asked for carry."""

    def __init__(
        self,
        model: nn.Module,
        values: Iterable[Edge],
        gradients: Iterable[Edge],
        wires: TracedProgram | None = None,
        *,
        fold: bool = True,
    ) -> None:
        """`wires` are the model's, where the caller has them; `fold` folds norms into what stands
        before them.
        """
        self.wires = wires or TracedProgram(model)
        super().__init__(self.wires.traced, garbage_collect_values=True)
        self._wanted = frozenset(values)
        self._differentiated = frozenset(gradients)
        self._seen: dict[Edge, Any] = {}
        self._folds = folds(self.wires, self._wanted | self._differentiated) if fold else {}
        self._folded: dict[fx.Node, Folded] = {}

    def capture(self, inputs: Any, targets: Any, loss: Loss) -> Captured:
        """One forward and one backward pass. Parameters' `.grad` and the random state are not
        touched.
        """
        samples = samples_in(inputs, targets)
        with torch.enable_grad():
            mean = loss_at(loss, self._outputs(inputs), targets)
            value = finite(mean, "lower the rate or check the inputs, then score")
            edges = [edge for edge in self._seen if edge in self._differentiated]
            slopes = gradients(mean * samples, [self._seen[edge] for edge in edges])
        return Captured(
            samples=samples,
            loss=value,
            values={e: _fixed(t) for e, t in self._seen.items() if e in self._wanted},
            gradients=dict(zip(edges, slopes, strict=True)),
        )

    def seen(self, inputs: Any) -> tuple[Any, dict[Edge, Any]]:
        """What the program gives for a batch's inputs, and the values wanted.

        Raises:
            ScoringError: it does not run on them.
        """
        outputs = self._outputs(inputs)
        return outputs, {edge: value for edge, value in self._seen.items() if edge in self._wanted}

    def _outputs(self, inputs: Any) -> Any:
        self._seen, self._folded = {}, active(self.wires, self._folds)
        try:
            return self.run(inputs)
        except (EasearchError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise ScoringError(
                f"the traced program of {type(self.wires.model).__name__} does not run on a batch "
                f"of {formed(inputs)}: {reason_of(error)}; take decisions on sizes and values out "
                "of the forward pass"
            ) from error

    def run_node(self, n: fx.Node) -> Any:
        """Run one node on its edges' values; pass its output on as an edge if asked."""
        if n.op == "get_attr":
            return self.wires.tensor(n, {})
        consumer = self.wires.names[n]
        edges = {source: self._edge(source, consumer, n) for source in n.all_input_nodes}
        args = fx.node.map_arg(n.args, lambda source: edges[source])
        kwargs = fx.node.map_arg(n.kwargs, lambda source: edges[source])
        if n in self._folded:
            # The convolution hands its input on; at the norm both are done.
            result = self._folded[n](*edges.values())
        elif n.op in ("placeholder", "output"):
            result = getattr(self, n.op)(n.target, args, kwargs)
        else:
            result = self.wires.call(n, args, kwargs, {})
        return self._keep((consumer, ""), result)

    def _edge(self, source: fx.Node, consumer: str, n: fx.Node) -> Any:
        edge, value = (self.wires.names[source], consumer), self.env[source]
        if edge in self._wanted and asks_for_form(n) and isinstance(value, Tensor):
            self._seen[edge] = value.detach().new_empty(1).expand(value.shape)
            return value
        return self._keep(edge, value)

    def _keep(self, edge: Edge, value: Any) -> Any:
        if edge in self._differentiated:
            # A view of its own makes the edge a place where the gradient can be read off.
            value = value.view_as(value) if value.requires_grad else value.detach().requires_grad_()
        if edge in self._differentiated or edge in self._wanted:
            self._seen[edge] = value
        return value


def _fixed(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes that tensors hold; what several of them share is counted once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())

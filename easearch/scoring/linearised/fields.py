"""Linearise once, apply many: products with a unit's splitting matrices from what a batch leaves
behind.

`S v` is the derivative along v of the gradient of `phi` (unit.py). Values and first-order adjoints
do not depend on v: they are made once a batch, and are called its *fields* (docs/methods.md, 5).
For a vector, tangents then run forward and second-order adjoints backward through the unit's steps
(steps.py). `Unit.product` gives the same by automatic differentiation, for any layer, at several
times the cost.

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easearch.scoring.capture import Captured
from easearch.scoring.linearised.bilinear import Bilinear
from easearch.scoring.linearised.maps import Pair
from easearch.scoring.linearised.plan import plan
from easearch.scoring.linearised.product import Moved, Product, add, gather, sum_pair
from easearch.scoring.linearised.steps import Kept, Step
from easearch.scoring.unit import Unit

CHUNK = 2**21
"""Bytes of a chunk's largest tensor: what a pass needs besides the fields stays small, however
large the batch. Time is flat from a quarter of this to eight times as much
(reports/scoring/README.md).
"""


@dataclass(frozen=True, eq=False)
class Fields:
    """What the steps keep of one batch.

    Attributes:
        chunks: by step, a few samples each.
        first: gradient at the folded weights, by step, where a product rule asks for it.
        here: (C,), `phi` at the parameters as they are.
    """

    chunks: list[dict[str, Kept]]
    first: dict[str, Pair]
    here: Tensor

    def tensors(self) -> Iterator[Tensor]:
        """All that is held."""
        for chunk in self.chunks:
            for kept in chunk.values():
                yield from (tensor for tensor in kept if tensor is not None)


class Engine:
    """One unit as steps: `fields` once a batch, `product` for every vector."""

    def __init__(self, unit: Unit, steps: tuple[Step, ...]) -> None:
        self.unit, self.steps = unit, steps
        self.bilinear = [step for step in steps if isinstance(step, Bilinear)]
        # What is spread over samples has fewer axes than what it meets, and must not be parted.
        self._alike = all(len({self._axes(source) for source, _ in s.sources}) == 1 for s in steps)

    def fields(self, captured: Captured) -> Fields:
        """Values forward, adjoints backward."""
        first: dict[str, Pair] = {}
        chunks, here = [], []
        with torch.no_grad():
            for chunk in self._chunks(captured):
                kept, inner = self._run(chunk)
                here.append(inner.double())
                chunks.append(self._back(kept, chunk, first))
        return Fields(chunks, first, torch.stack(here).sum(0))

    def product(self, vectors: Tensor) -> Product:
        """A product with (C, D), to be fed with the fields of one batch after the other."""
        return Product(self.unit, self.steps, vectors)

    def phi(self, theta: Tensor, captured: Captured) -> Tensor:
        """`phi` (C,) at packed parameters (C, D), in double precision."""
        own = self.unit.unpack_over(theta)
        weights = {step.name: step.fold.folded(own) for step in self.bilinear}
        found = []
        with torch.no_grad():
            for chunk in self._chunks(captured):
                values: dict[str, Tensor] = {}
                for step in self.steps:
                    xs = _inputs(step, values, chunk)
                    values[step.name] = step.value(xs, weights.get(step.name))
                found.append(self.unit.inner(values, chunk).double())
        return torch.stack(found).sum(0)

    def _chunks(self, captured: Captured) -> Iterator[Captured]:
        """A few samples at a time, and only the unit's own edges."""
        own = Captured(
            samples=captured.samples,
            loss=captured.loss,
            values={edge: captured.values[edge] for edge in self.unit.entrances},
            gradients={edge: captured.gradients[edge] for edge in self.unit.exits},
        )
        lengths = {len(t) if t.dim() and t.is_floating_point() else 0 for t in own.tensors()}
        if len(lengths) > 1 or 0 in lengths or not self._alike:
            yield own  # not every value has the samples first, one by one
            return
        shapes = [self.unit.graph.shape(layer.name) for layer in self.unit.layers]
        numbers = max(shape.out_channels * shape.positions for shape in shapes)
        size = max(1, CHUNK // (numbers * self.unit.theta.element_size()))
        for start in range(0, max(lengths), size):
            yield own.part(slice(start, start + size))

    def _axes(self, source: str) -> int:
        layer = self.unit.graph.by_name[source]
        return len(layer.out_size) + len(layer.writes[:1])

    def _run(self, chunk: Captured) -> tuple[dict[str, Kept], Tensor]:
        kept: dict[str, Kept] = {}
        values: dict[str, Tensor] = {}
        for step in self.steps:
            values[step.name], kept[step.name] = step.run(_inputs(step, values, chunk))
        return kept, self.unit.inner(values, chunk)

    def _back(
        self, kept: dict[str, Kept], chunk: Captured, first: dict[str, Pair]
    ) -> dict[str, Kept]:
        """Adjoints from the exits to the entrances; the gradient at the weights into `first`."""
        b: Moved = {}
        for edge in self.unit.exits:
            add(b, edge[0], chunk.gradients[edge])
        found: dict[str, Kept] = {}
        for step in reversed(self.steps):
            at = b.pop(step.name, None)
            if at is None:
                continue
            sum_pair(first, step.name, step.gradient(kept[step.name], at))
            found[step.name], inputs = step.back(kept[step.name], at)
            gather(b, step, inputs)
        return found


def engine(unit: Unit) -> Engine | None:
    """The engine of a unit; None where a layer has no rule."""
    steps = plan(unit)
    return None if steps is None else Engine(unit, steps)


def _inputs(step: Step, values: Mapping[str, Tensor], chunk: Captured) -> list[Tensor]:
    return [
        values[edge[0]] if inner else chunk.values[edge]
        for edge, inner in zip(step.sources, step.inner, strict=True)
    ]

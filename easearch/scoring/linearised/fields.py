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

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from easearch.scoring.linearised.bilinear import Bilinear
from easearch.scoring.linearised.maps import Pair, bare
from easearch.scoring.linearised.plan import plan
from easearch.scoring.linearised.product import Moved, Product, add, gather, sum_pair
from easearch.scoring.linearised.steps import Kept, Step
from easearch.scoring.linearised.subset import Few, taken
from easearch.scoring.samples.capture import Captured
from easearch.scoring.samples.store import Room
from easearch.scoring.units.unit import Unit

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
        here: (N, C) or (1, C) for each chunk, `phi` at the parameters as they are.
    """

    chunks: list[dict[str, Kept]]
    first: dict[str, Pair]
    here: Tensor

    def tensors(self) -> Iterator[Tensor]:
        """All that takes memory: no mere shapes (maps.py, `formed`)."""
        for chunk in self.chunks:
            for kept in chunk.values():
                yield from (t for t in kept if t is not None and not bare(t))

    def copied(self, room: Room, shared: Collection[int]) -> Fields | None:
        """The same in the room's memory, but for what lies in `shared` storages or has none; None
        where it does not fit.
        """
        own = {id(t): t for t in self.tensors() if t.untyped_storage().data_ptr() not in shared}
        found = room.copies(list(own.values()))
        if found is None:
            return None
        copies = dict(zip(own, found, strict=True))
        chunks = [
            {
                name: tuple(t if t is None else copies.get(id(t), t) for t in kept)
                for name, kept in chunk.items()
            }
            for chunk in self.chunks
        ]
        return Fields(chunks, self.first, self.here)

    def laid_over(self, wider: Fields, shared: Collection[int]) -> Fields:
        """The same in the memory of the fields it is a part of, which are lost: fresh pages are
        dear. What lies in `shared` storages is left as it is.
        """
        chunks = [
            {
                name: tuple(
                    t if t is None or t is old or old is None else _over(old, t, shared)
                    for t, old in zip(kept, before[name], strict=True)
                )
                for name, kept in chunk.items()
            }
            for chunk, before in zip(self.chunks, wider.chunks, strict=True)
        ]
        return Fields(chunks, self.first, self.here)


def _over(old: Tensor, new: Tensor, shared: Collection[int]) -> Tensor:
    if bare(new) or old.untyped_storage().data_ptr() in shared:
        return new
    place = torch.empty(0, dtype=new.dtype, device=new.device)
    place.set_(old.untyped_storage(), old.storage_offset(), new.shape, new.stride())
    return place.copy_(new)


def joined(pieces: Sequence[Fields]) -> Fields:
    """Those of several parts of a batch as one."""
    first: dict[str, Pair] = {}
    for piece in pieces:
        for name, pair in piece.first.items():
            sum_pair(first, name, pair)
    chunks = [chunk for piece in pieces for chunk in piece.chunks]
    return Fields(chunks, first, torch.cat([piece.here for piece in pieces]))


class Engine:
    """One unit as steps: `fields` once a batch, `product` for every vector."""

    def __init__(self, unit: Unit, steps: tuple[Step, ...], few: Few | None = None) -> None:
        """`steps` are those of some channels alone where `few` says which."""
        self.unit, self.steps, self._few = unit, steps, few
        self.bilinear = [step for step in steps if isinstance(step, Bilinear)]
        # What is spread over samples has fewer axes than what it meets, and must not be parted.
        self._alike = all(len({self._axes(source) for source, _ in s.sources}) == 1 for s in steps)

    def fields(self, captured: Captured) -> Fields:
        """Values forward, adjoints backward."""
        return joined(list(self.pieces(captured)))

    def pieces(self, captured: Captured) -> Iterator[Fields]:
        """The same, a few samples at a time."""
        for chunk in self._chunks(captured):
            with torch.no_grad():
                first: dict[str, Pair] = {}
                kept, here = self._run(chunk)
                piece = Fields([self._back(kept, chunk, first)], first, here)
            del kept
            yield piece

    @property
    def channels(self) -> Tensor:
        """Which of the unit's channels these are."""
        if self._few is not None:
            return self._few.channels
        return torch.arange(self.unit.width, device=self.unit.theta.device)

    def places(self, channels: Tensor) -> Tensor | None:
        """Where these channels of the unit stand among the engine's; None if one does not."""
        at = torch.searchsorted(self.channels, channels).clamp(max=len(self.channels) - 1)
        return at if torch.equal(self.channels[at], channels) else None

    def few(self, channels: Tensor) -> Engine | None:
        """The engine of these channels of all; None where they do not go apart."""
        found = Few.of(self.unit, channels)
        steps = [step.few(channels) for step in self.steps]
        if found is None or None in steps:
            return None
        return Engine(self.unit, tuple(step for step in steps if step is not None), found)

    def part(self, fields: Fields, places: Tensor) -> Fields:
        """Of this engine's fields, those of the channels at these places."""
        take = partial(taken, axis=self.unit.layers[0].out_axis, channels=places)
        chunks = [
            {
                step.name: step.kept_of(kept[step.name], take)
                for step in self.steps
                if step.name in kept
            }
            for kept in fields.chunks
        ]
        first = {
            name: (W.index_select(0, places), None if b is None else b.index_select(0, places))
            for name, (W, b) in fields.first.items()
        }
        return Fields(chunks, first, fields.here.index_select(1, places))

    def product(self, vectors: Tensor) -> Product:
        """A product with (C, D), to be fed with the fields of one batch after the other."""
        return Product(self._few.rows if self._few else self.unit, self.steps, vectors)

    def phi(self, theta: Tensor, captured: Captured) -> Tensor:
        """`phi` (N, C), or a row a chunk, at packed parameters (C, D), in double precision."""
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
        return torch.cat(found)

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
            yield self._taken(own)  # not every value has the samples first, one by one
            return
        shapes = [self.unit.graph.shape(layer.name) for layer in self.unit.layers]
        numbers = max(shape.out_channels * shape.positions for shape in shapes)
        size = max(1, CHUNK // (numbers * self.unit.theta.element_size()))
        for start in range(0, max(lengths), size):
            yield self._taken(own.part(slice(start, start + size)))

    def _taken(self, chunk: Captured) -> Captured:
        """Of what leaves the unit, the channels at hand."""
        if self._few is None:
            return chunk
        take = self._few.take
        return replace(chunk, gradients={edge: take(g) for edge, g in chunk.gradients.items()})

    def _axes(self, source: str) -> int:
        layer = self.unit.graph.by_name[source]
        return len(layer.out_size) + len(layer.writes[:1])

    def _run(self, chunk: Captured) -> tuple[dict[str, Kept], Tensor]:
        kept: dict[str, Kept] = {}
        values: dict[str, Tensor] = {}
        for step in self.steps:
            values[step.name], kept[step.name] = step.run(_inputs(step, values, chunk))
        if self._few is not None:
            return kept, self._few.inner(self.unit, values, chunk).double()
        return kept, self.unit.inner(values, chunk).double()

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

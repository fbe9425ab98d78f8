"""Passes over the data for the solver: what a batch leaves behind is kept while it fits, else made
anew.

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from easearch.roles import Batches
from easearch.scoring.capture import Captured, size
from easearch.scoring.linearised import Engine, Fields, Product, engine
from easearch.scoring.unit import Unit

Capture = Callable[[Any, Any], Captured]
"""(inputs, targets) -> the batch's captured values and gradients."""


class Batch:
    """One captured batch, with the fields of every unit that asked for them."""

    def __init__(self, captured: Captured, room: Room) -> None:
        self.captured = captured
        self.kept = room.take(captured.nbytes)
        self._room = room
        self._fields: dict[int, Fields] = {}

    def multiply(self, part: Part, product: Product | Slow) -> None:
        """Add this batch to a product of a unit."""
        if isinstance(product, Slow):
            product.add(self.captured)
        elif part.engine is not None:
            fields = self._of(part.engine, part.number)
            product.add(fields.chunks, fields.first)

    def phi(self, part: Part, theta: Tensor) -> Tensor:
        """(C,): `phi` of a unit at theta (C, D)."""
        if part.engine is None:
            return part.unit.phi_at(theta, self.captured).double()
        return part.engine.phi(theta, self.captured)

    def here(self, part: Part) -> Tensor:
        """(C,): `phi` where the parameters are; the fields know it."""
        if part.number in self._fields:
            return self._fields[part.number].here
        return self.phi(part, part.unit.theta)

    def tensors(self) -> Iterator[Tensor]:
        """All that is held."""
        yield from self.captured.tensors()
        for fields in self._fields.values():
            yield from fields.tensors()

    def _of(self, fast: Engine, number: int) -> Fields:
        if number in self._fields:
            return self._fields[number]
        fields = fast.fields(self.captured)
        # Inputs are views of what was captured, and are paid for already.
        paid = {tensor.untyped_storage().data_ptr() for tensor in self.captured.tensors()}
        more = [t for t in fields.tensors() if t.untyped_storage().data_ptr() not in paid]
        if self.kept and self._room.take(size(more)):
            self._fields[number] = fields
        return fields


class Slow:
    """A product by automatic differentiation, where a layer has no rule."""

    def __init__(self, unit: Unit, vectors: Tensor) -> None:
        self._unit, self._vectors = unit, vectors
        self._total = torch.zeros_like(vectors)

    def add(self, captured: Captured) -> None:
        """One batch more."""
        self._total += self._unit.product(self._vectors, captured)

    def total(self) -> Tensor:
        """(C, D): every channel's `S_c v_c`, summed over the samples."""
        return self._total


class Part:
    """A unit with its engine (None where a layer has no rule), and its place among the others."""

    def __init__(self, unit: Unit, number: int) -> None:
        self.unit, self.number, self.engine = unit, number, engine(unit)

    def product(self, vectors: Tensor) -> Product | Slow:
        """A product with (C, D), to be fed with batches."""
        return Slow(self.unit, vectors) if self.engine is None else self.engine.product(vectors)


class Room:
    """Bytes that may be held between passes."""

    def __init__(self, memory: float) -> None:
        self.left = memory

    def take(self, size: float) -> bool:
        """Whether there was room; then it is taken."""
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


class Passes:
    """All batches, iterated as often as wanted. Those that fit into `memory` bytes are kept; the
    rest are captured in every pass, and forgotten one by one.
    """

    def __init__(self, capture: Capture, batches: Batches, memory: float) -> None:
        self._capture, self._batches = capture, batches
        self._room = Room(memory)
        self._kept: dict[int, Batch] = {}
        self._number: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        """The batches in their order."""
        if self._number is not None and len(self._kept) == self._number:
            yield from (self._kept[number] for number in range(self._number))
            return
        number = -1
        for number, (inputs, targets) in enumerate(self._batches):
            batch = self._kept.get(number)
            if batch is None:
                batch = Batch(self._capture(inputs, targets), self._room)
                if batch.kept:
                    self._kept[number] = batch
            yield batch
        self._number = number + 1

    def held(self) -> Iterator[Batch]:
        """The batches that are kept."""
        yield from self._kept.values()

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
from easearch.scoring.linearised import Engine, Fields, engine, joined
from easearch.scoring.samples.capture import Captured
from easearch.scoring.samples.store import Room
from easearch.scoring.units.unit import Unit

Capture = Callable[[Any, Any], Captured]
"""(inputs, targets) -> the batch's captured values and gradients."""


class Batch:
    """One captured batch, with the fields of every unit that asked for them."""

    def __init__(self, captured: Captured, room: Room) -> None:
        self.captured = captured
        self.kept = room.take(captured.nbytes)
        # Inputs are views of what was captured, and are paid for already.
        self._paid = {tensor.untyped_storage().data_ptr() for tensor in captured.tensors()}
        self._room = room
        self._fields: dict[int, tuple[Engine, Fields]] = {}
        self._here: dict[int, Tensor] = {}

    def multiply(self, part: Part, product: Times | Slow) -> None:
        """Add this batch to a product of a unit."""
        if isinstance(product, Slow):
            product.add(self.captured)
            return
        held = self._held(part, product)
        if held is not None:
            product.add(held)
            return
        pieces: list[Fields] | None = [] if self.kept else None
        here = []
        # A piece is multiplied while it is in the cache, and copied if it is to be kept.
        for piece in product.engine.pieces(self.captured):
            product.add(piece)
            here.append(piece.here)
            pieces = self._with(pieces, piece)
        if product.channels is None:
            self._here[part.number] = torch.cat(here)
        if pieces is not None:
            self._fields[part.number] = product.engine, joined(pieces)

    def phi(self, part: Part, theta: Tensor) -> Tensor:
        """(N, C), `phi` of a unit at theta (C, D) for every sample; or fewer rows that add up to
        the batch's.
        """
        if part.engine is None:
            return part.unit.phi_at(theta, self.captured).double()
        return part.engine.phi(theta, self.captured)

    def here(self, part: Part) -> Tensor:
        """The same where the parameters are; whoever made the fields knows it."""
        if part.number not in self._here:
            self._here[part.number] = self.phi(part, part.unit.theta)
        return self._here[part.number]

    def tensors(self) -> Iterator[Tensor]:
        """All that is held."""
        yield from self.captured.tensors()
        for _, fields in self._fields.values():
            yield from fields.tensors()

    def _held(self, part: Part, product: Times) -> Fields | None:
        """The fields that are kept; of more channels than are asked for, their part from now on."""
        if part.number not in self._fields:
            return None
        engine, fields = self._fields[part.number]
        if engine is product.engine:
            return fields
        places = None if product.channels is None else engine.places(product.channels)
        if places is None:
            del self._fields[part.number]
            return None
        fewer = engine.part(fields, places).laid_over(fields, self._paid)
        self._fields[part.number] = product.engine, fewer
        return fewer

    def _with(self, pieces: list[Fields] | None, more: Fields) -> list[Fields] | None:
        """One piece more, copied; None, and all forgotten, where there is no room."""
        if pieces is None:
            return None
        kept = more.copied(self._room, self._paid)
        return None if kept is None else [*pieces, kept]


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


class Times:
    """A product by the rules; of some channels alone where the others' vectors are zero."""

    def __init__(self, engine: Engine, vectors: Tensor, channels: Tensor | None) -> None:
        self.engine, self.channels, self._like = engine, channels, vectors
        own = vectors if channels is None else vectors.index_select(0, channels)
        self._product = engine.product(own)

    def add(self, fields: Fields) -> None:
        """One batch more."""
        self._product.add(fields.chunks, fields.first)

    def total(self) -> Tensor:
        """(C, D): every channel's `S_c v_c`, summed over the samples."""
        found = self._product.total()
        if self.channels is None:
            return found
        return torch.zeros_like(self._like).index_copy_(0, self.channels, found)


class Part:
    """A unit with its engine (None where a layer has no rule), and its place among the others."""

    def __init__(self, unit: Unit, number: int) -> None:
        self.unit, self.number, self.engine = unit, number, engine(unit)
        self._few: Engine | None = None

    def product(self, vectors: Tensor) -> Times | Slow:
        """A product with (C, D), to be fed with batches. Channels whose vector is zero cost
        nothing, where a quarter or more can be left out.
        """
        if self.engine is None:
            return Slow(self.unit, vectors)
        channels = vectors.any(1).nonzero()[:, 0]
        if self._few is None or self._few.places(channels) is None:
            self._few = self.engine
        if 0 < len(channels) <= FEWER * len(self._few.channels):
            self._few = self.engine.few(channels) or self.engine
        if self._few is self.engine:
            return Times(self.engine, vectors, None)
        return Times(self._few, vectors, self._few.channels)


FEWER = 0.6
"""Share of the channels at hand from which on the others are left out: to gather them costs."""


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

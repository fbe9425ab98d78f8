"""The candidates of an over-grown network as one vector of numbers: where each of them begins, how
far it may go, whose gate multiplies it.

Numbers are kept in units of their own bound: those of one *ball* (a split's offset, a new channel's
rows in one tensor, its columns) have a root mean square of 1 at most.

Legend: n numbers, K candidates, D numbers a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easearch.moves import Move

Build = Callable[[Tensor], list[Move]]
"""Numbers (K, D) -> moves: one a candidate, or one with all of them in it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A stretch of every candidate's numbers.

    Attributes:
        start: (K, d) where they begin, in units.
        unit: (K, 1) what 1 stands for.
        gated: whether the candidate's gate multiplies them.
        bounded: whether they are a ball, to be learned; else they stay as they are.
    """

    start: Tensor
    unit: Tensor
    gated: bool = False
    bounded: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Candidates of one kind at one place.

    Attributes:
        place: a channel group's name, or that of the layer behind which a new one stands.
        pieces: of their numbers, side by side.
        build: makes the moves; also of some of the candidates alone.
        deepens: whether they are the neurons of one new layer.
    """

    place: str
    pieces: tuple[Piece, ...]
    build: Build
    deepens: bool = False

    @property
    def candidates(self) -> int:
        """How many."""
        return len(self.pieces[0].start)

    @property
    def width(self) -> int:
        """Numbers a candidate."""
        return sum(piece.start.shape[1] for piece in self.pieces)

    def laid(self, of: Callable[[int, Piece], Tensor]) -> Tensor:
        """(K * D,): what is said of every piece, number by number."""
        parts = [of(n, piece).expand(piece.start.shape) for n, piece in enumerate(self.pieces)]
        return torch.cat(parts, dim=1).flatten()

    def balls(self, first: int) -> Tensor:
        """(K * D,): a ball for every candidate's piece, counted from `first`."""
        number = torch.arange(self.candidates, device=self.pieces[0].start.device)[:, None]
        return self.laid(lambda n, _: first + number * len(self.pieces) + n)

    def owners(self, first: int) -> Tensor:
        """(K * D,): the candidate whose number each is, counted from `first`."""
        number = torch.arange(self.candidates, device=self.pieces[0].start.device)[:, None]
        return self.laid(lambda _, piece: first + number)


class Pool:
    """Blocks of candidates, and their numbers one behind the other."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        """At least one block."""
        self.blocks = tuple(blocks)
        self.candidates = sum(block.candidates for block in blocks)
        balls, owners = [], []
        ball = owner = 0
        for block in blocks:
            balls.append(block.balls(ball))
            owners.append(block.owners(owner))
            ball += block.candidates * len(block.pieces)
            owner += block.candidates
        self.ball, self.owner = torch.cat(balls), torch.cat(owners)
        self.start = torch.cat([b.laid(lambda _, piece: piece.start) for b in blocks])
        self.unit = torch.cat([b.laid(lambda _, piece: piece.unit) for b in blocks])
        self.gated = self._flags(lambda piece: piece.gated)
        self.bounded = self._flags(lambda piece: piece.bounded)
        self._balls = ball
        self._size = self._in_balls(torch.ones_like(self.start))

    def moves(self, numbers: Tensor) -> list[Move]:
        """All moves, with these numbers (n,) in them."""
        return [move for block, own, _ in self.split(numbers) for move in block.build(own)]

    def split(self, numbers: Tensor) -> Iterator[tuple[Block, Tensor, int]]:
        """Every block with its numbers (K, D), and which candidate is its first."""
        first = 0
        sizes = [block.candidates * block.width for block in self.blocks]
        for block, own in zip(self.blocks, torch.split(numbers, sizes), strict=True):
            yield block, own.view(block.candidates, block.width), first
            first += block.candidates

    def by_candidate(self, values: Tensor) -> Tensor:
        """(n,) -> (K,): the sum over what each candidate's gate multiplies."""
        total = values.new_zeros(self.candidates)
        return total.index_add_(0, self.owner[self.gated], values[self.gated])

    def at_gates(self, numbers: Tensor, gate: float) -> Tensor:
        """The numbers with all gates at one value."""
        return torch.where(self.gated, gate * numbers, numbers)

    def projected(self, units: Tensor) -> Tensor:
        """Numbers in units, every ball's drawn back to its bound."""
        length = self.mean_square(units).sqrt().clamp(min=1)
        return torch.where(self.bounded, units / length, units)

    def mean_square(self, values: Tensor) -> Tensor:
        """(n,) -> (n,): over the ball that each number belongs to."""
        return (self._in_balls(values.square()) / self._size)[self.ball]

    def _in_balls(self, values: Tensor) -> Tensor:
        return values.new_zeros(self._balls).index_add_(0, self.ball, values)

    def _flags(self, of: Callable[[Piece], bool]) -> Tensor:
        like = self.start.device
        return torch.cat(
            [b.laid(lambda _, piece: torch.tensor([[of(piece)]], device=like)) for b in self.blocks]
        )

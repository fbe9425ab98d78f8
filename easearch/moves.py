"""What growth can do to a network, what it is expected to bring, and what was chosen.

A move names a channel group (a new layer: the layer that it stands behind) and says what happens
to it; it knows nothing of modules. Tensors inside moves are on the model's device and keyed by the
parameter's full name (`features.3.conv.weight`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from torch import Tensor

from easearch.deepening import NewLayer
from easearch.errors import GraphError

Offset = Mapping[str, Tensor]
"""A displacement of one channel: parameter name -> tensor of the channel's own slice of that
parameter. A channel with several columns (`taps`, or several places in one layout) has all of them,
in their order, along the parameter's own axis.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Replace a channel by offspring: `theta + offsets[k]`, its readers' columns times `shares[k]`.

    `Split(group=..., channel=...)` alone is the silent split: two halves where they were, the
    function unchanged. The first offspring stays in the parent's place, the others are appended
    behind the group.
    """

    deepens: ClassVar[Literal[False]] = False
    group: str
    channel: int
    shares: tuple[float, ...] = (0.5, 0.5)
    offsets: tuple[Offset, ...] = ()

    def __post_init__(self) -> None:
        """Refuse shares that do not sum to one, and offsets that do not match them."""
        if len(self.shares) < 2 or abs(sum(self.shares) - 1.0) > 1e-6:
            raise GraphError(f"expected two or more shares that sum to 1, got {self.shares}")
        if self.offsets and len(self.offsets) != len(self.shares):
            raise GraphError(
                f"expected {len(self.shares)} offsets, one an offspring, got {len(self.offsets)}"
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """The existing channels that the move touches."""
        return (self.channel,)

    @property
    def added(self) -> int:
        """How many channels the group gains."""
        return len(self.shares) - 1

    def scaled(self, factor: float) -> Split:
        """The same split at another step.

        Args:
            factor: times the offsets; 1: as it is, 0: the silent split, two halves in one place.

        Returns:
            The split; shares stay. The gain of a candidate holds for factor 1 alone.
        """
        moved = tuple(
            {name: value * factor for name, value in offset.items()} for offset in self.offsets
        )
        return replace(self, offsets=moved if factor else ())


@dataclass(frozen=True, kw_only=True, eq=False)
class NewNeuron:
    """Append a channel: `into` are its own rows, `out` its columns in the readers.

    A parameter that is not named is born zero (norms: scale 1, shift 0, mean 0, variance 1). While
    `out` is empty the function is unchanged.
    """

    deepens: ClassVar[Literal[False]] = False
    group: str
    into: Offset = field(default_factory=dict)
    out: Offset = field(default_factory=dict)

    @property
    def channels(self) -> tuple[int, ...]:
        """No existing channel is touched."""
        return ()

    @property
    def added(self) -> int:
        """How many channels the group gains."""
        return 1

    @property
    def silent(self) -> bool:
        """Whether nobody reads it yet: then it is the same at every step."""
        return not self.out

    def scaled(self, factor: float) -> NewNeuron:
        """The same neuron at another step.

        Args:
            factor: times the outgoing columns; 1: as it is, 0: nobody reads it, which is silent.

        Returns:
            The neuron; its incoming rows stay.
        """
        return replace(
            self, out={name: value * factor for name, value in self.out.items()} if factor else {}
        )


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Take channels away: the way back from a split or a new neuron.

    Where a removed channel has an exact twin among those that stay (equal rows in every tensor that
    the channel owns), the twin's reader columns gain its own, so that the function stays; otherwise
    its columns go with it. At least one channel of the group must stay.
    """

    deepens: ClassVar[Literal[False]] = False
    group: str
    channels: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse to remove nothing."""
        if not self.channels:
            raise GraphError(
                f"expected one or more channels of '{self.group}' to remove, got none; leave the "
                "move out"
            )

    @property
    def added(self) -> int:
        """How many channels the group gains: a negative number."""
        return -len(self.channels)

    def scaled(self, factor: float) -> Remove:
        """The same: a removal has no step."""
        return self


Widening = Split | NewNeuron | Remove
"""What changes the width of a channel group."""

Move = Widening | NewLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A move with its gain: predicted decrease of the mean loss (nats), at the move's own step.

    `interval` is the half width within which sampling leaves the gain (95 %); None: not known.
    """

    move: Move
    gain: float
    interval: float | None = None

    @property
    def widening(self) -> Widening:
        """The move, of a candidate that changes the width of a group.

        Raises:
            GraphError: it is a new layer.
        """
        if self.move.deepens:
            raise GraphError(
                f"expected a move on the width of a group, got a new layer behind "
                f"'{self.move.behind}'; it has no width to choose, apply it by itself"
            )
        return self.move


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one meter says of a plan: the cost before and after, and the limit."""

    meter: str
    unit: str
    before: float
    after: float
    limit: float
    shadow_price: float = 0.0
    """Gain (nats) that one more unit of the limit would buy, as far as the solver knows; 0 where it
    does not bind.
    """

    def __str__(self) -> str:
        """`latency: 2.1 -> 3.96 of 4 ms; it binds: +0.1 ms would buy 0.012 nats`."""
        now = f"{amount(self.before)} -> {amount(self.after)} of {amount(self.limit)} {self.unit}"
        told = f"{self.meter}: {now}"
        if self.shadow_price > 0:
            more = step_of(self.limit)
            bought = f"{more * self.shadow_price:.2g}"
            told += f"; it binds: +{amount(more)} {self.unit} would buy {bought} nats"
        return told


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The chosen moves, what they promise and what they cost."""

    moves: tuple[Move, ...]
    gain: float
    widths: Mapping[str, int]
    prices: tuple[Price, ...]
    gap: float
    """How far the gain may be from the best possible, as a fraction (0: proven best)."""
    solver: str
    seconds: float

    @property
    def binding(self) -> str | None:
        """The meter whose limit holds growth back most: the highest share used among those with a
        shadow price.
        """
        held = [price for price in self.prices if price.shadow_price > 0]
        return max(held, key=lambda p: p.after / p.limit).meter if held else None

    def __str__(self) -> str:
        """The plan in words: widths that change, gain and gap, every limit and what more of it
        would buy.
        """
        added: dict[str, int] = {}
        for move in self.moves:
            if not move.deepens:
                added[move.group] = added.get(move.group, 0) + move.added
        wider = [
            f"{name} {self.widths[name] - more} -> {self.widths[name]}"
            for name, more in added.items()
            if more
        ]
        count = f"{sum(added.values()):+d} channels in {len(wider)} groups: "
        best = "best possible" if self.gap == 0 else f"within {100 * self.gap:.2g} % of the best"
        proof = best if math.isfinite(self.gap) else "distance from the best not known"
        lines = [
            count + ", ".join(wider) if wider else "no growth",
            f"gain {self.gain:.3g} nats, {proof} ({self.solver}, {self.seconds:.2g} s)",
        ]
        taken = "take the moves together: ea.take_step(model, graph, plan.moves, batches)"
        return "\n".join([*lines, *map(str, self.prices), *([taken] if self.moves else [])])


# --- formulas


def step_of(limit: float) -> float:
    """A small amount of a limit: a tenth of its leading digit's place (4 ms: 0.1 ms)."""
    return 10.0 ** (math.floor(math.log10(limit)) - 1)


def amount(value: float) -> str:
    """A number with three digits, large ones with an SI prefix: 3.96, 192k, 12.3M."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"

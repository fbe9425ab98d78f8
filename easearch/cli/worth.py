"""A scoring in the words of `easearch score`: what every group is worth, move by move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from easearch.reporting.digits import significant

if TYPE_CHECKING:
    from easearch.graph import ChannelGroup, Graph
    from easearch.moves import Candidate, Move

MILLI = 1e3
"""Gains are told in millinats."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """One channel group: how wide it is, and what growing it would bring (nats)."""

    name: str
    width: int
    best: float
    quarter: float
    """The summed gains of the best quarter of its channels, each by its best move."""
    stable: int
    """Channels of which no split is worth anything."""
    why: str
    """Why nothing in it is worth anything; empty where something is."""

    def cells(self) -> tuple[str, ...]:
        """Name, width, gains, how many channels are stable."""
        gains = millinats(self.best), millinats(self.quarter)
        return self.name, str(self.width), *gains, f"{self.stable} of {self.width}"


def groups_of(found: Sequence[Candidate], graph: Graph) -> list[Worth]:
    """A row for every group that can grow, the one with the best quarter first."""
    nothing = getattr(found, "nothing", {})
    rows = [_group(group, found, nothing) for group in graph.growable]
    return sorted(rows, key=lambda row: -row.quarter)


def described(candidate: Candidate) -> dict[str, Any]:
    """A candidate as data: where, which kind of move, its gain and interval (nats)."""
    return {
        "group": place(candidate.move),
        "channel": getattr(candidate.move, "channel", None),
        "move": kind(candidate.move),
        "gain": candidate.gain,
        "interval": candidate.interval,
    }


def place(move: Move) -> str:
    """The group that a move changes, or the layer behind which it puts one."""
    return move.behind if move.deepens else move.group


def channel(move: Move) -> str:
    """The channel that a move splits; none for one that it appends."""
    return str(getattr(move, "channel", ""))


def kind(move: Move) -> str:
    """What a move does: `split in 2`, `signed split in 3`, `new neuron`, `new conv, 16 wide`."""
    if move.deepens:
        return f"new {move.layer}" + (f", {move.hidden} wide" if move.hidden else "")
    shares = getattr(move, "shares", None)
    if shares is not None:
        return f"{'signed split' if min(shares) < 0 else 'split'} in {len(shares)}"
    return "new neuron" if move.added == 1 and not move.channels else type(move).__name__.lower()


def gain_of(candidate: Candidate) -> str:
    """`1.24 ± 0.31`, in millinats."""
    return millinats(candidate.gain) + (
        "" if candidate.interval is None else f" ± {millinats(candidate.interval)}"
    )


def millinats(gain: float) -> str:
    """A gain in millinats, with three digits."""
    return significant(MILLI * gain)


def _group(group: ChannelGroup, found: Sequence[Candidate], nothing: dict[str, str]) -> Worth:
    own = [c for c in found if not c.move.deepens and c.move.group == group.name]
    best: dict[Any, float] = {}
    for number, one in enumerate(own):  # a channel has several splits, of which it takes one
        key = getattr(one.move, "channel", f"new {number}")
        best[key] = max(best.get(key, 0.0), one.gain)
    gains = sorted(best.values(), reverse=True)
    split = {key for key in best if isinstance(key, int)}
    top = max(gains, default=0.0)
    why = nothing.get(group.name, "" if top > 0 else "no move that was scored gains anything")
    return Worth(
        name=group.name,
        width=group.width,
        best=top,
        quarter=sum(gains[: ceil(group.width / 4)]),
        stable=sum(best[key] <= 0 for key in split),
        why=why,
    )

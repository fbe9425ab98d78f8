"""Whether moves on channels fit a group and each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, Protocol

from easearch.errors import GraphError


class Widening(Protocol):
    """What a graph must know of a move that changes a group's width."""

    deepens: ClassVar[Literal[False]]

    @property
    def group(self) -> str:
        """The group's name."""
        ...

    @property
    def channels(self) -> tuple[int, ...]:
        """The existing channels that the move touches."""
        ...

    @property
    def added(self) -> int:
        """How many channels the group gains; below zero where it loses some."""
        ...


def check_channels(moves: Iterable[Widening], widths: Mapping[str, int]) -> None:
    """Refuse moves on channels that are not there, that another move touches, or that are the last.

    Raises:
        GraphError: a channel is not there, is split twice, removed twice, or both, or no channel of
            a group would stay.
    """
    touched: dict[tuple[str, int], str] = {}
    for move in moves:
        width, how = widths[move.group], "removed" if move.added < 0 else "split"
        for channel in move.channels:
            if not 0 <= channel < width:
                raise GraphError(
                    f"expected a channel of '{move.group}' between 0 and {width - 1}, got {channel}"
                )
            before = touched.get((move.group, channel))
            if before is not None:
                both = f"{how} twice" if how == before else "both split and removed"
                raise GraphError(
                    f"channel {channel} of '{move.group}' is {both}; use one move a channel (for "
                    "more offspring, a Split with more shares)"
                )
            touched[move.group, channel] = how
    gone = Counter(name for (name, _), how in touched.items() if how == "removed")
    for name, number in gone.items():
        if number == widths[name]:
            raise GraphError(f"expected a channel of '{name}' that stays, got all {number} removed")

"""The algebra of layouts: what a walk learns about which channels are which.

A walk begins with one group a writer and learns that groups are the same (an addition), that a
group falls into parts (a slice of a concatenation, the halves of a gated unit), or that its
channels grow only in blocks (a grouped convolution's). Each is one substitution: a group is
replaced, everywhere at once, by a layout over other groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from easearch.graph import Layout, Segment


class Apart(Exception):
    """Two layouts cannot be brought together, or one cannot be cut; says why in half a sentence."""


class Layouts:
    """The groups of one walk, by number while it lasts."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}
        self._meaning: dict[str, Layout] = {}
        self._frozen: dict[str, str] = {}

    def begin(self, width: int, frozen: str | None = None) -> Layout:
        """A new group of that width."""
        name = str(len(self._widths))
        self._widths[name] = width
        if frozen is not None:
            self._frozen[name] = frozen
        return (Segment(name),)

    def width(self, group: str) -> int:
        """Channels of a group."""
        return self._widths[group]

    def columns(self, layout: Layout) -> int:
        """Columns of a value with this layout."""
        return sum(self._columns(segment) for segment in layout)

    def settled(self, layout: Layout) -> Layout:
        """The layout in terms of groups that stand for themselves."""
        found: list[Segment] = []
        for segment in layout:
            meaning = self._meaning.get(segment.group)
            if meaning is None:
                found.append(segment)
            else:
                inner = (Segment(s.group, s.taps * segment.taps) for s in meaning)
                found += self.settled(tuple(inner))
        return tuple(found)

    def freeze(self, layout: Layout, reason: str) -> None:
        """No channel of this layout may change; the first reason stands."""
        for segment in self.settled(layout):
            self._frozen.setdefault(segment.group, reason)

    def frozen(self, group: str) -> str | None:
        """Why the group cannot change, or None."""
        return self._frozen.get(group)

    def tie(self, one: Layout, other: Layout) -> None:
        """From now on both are the same channels.

        Raises:
            Apart: they have not as many columns, or their channels do not fall on each other.
        """
        if self.columns(one) != self.columns(other):
            raise Apart(f"{self.columns(one)} channels meet {self.columns(other)}")
        while True:
            pairs = zip(self.settled(one), self.settled(other), strict=False)
            unlike = next(((a, b) for a, b in pairs if a != b), None)
            if unlike is None:
                return
            self._match(*unlike)

    def cut(self, layout: Layout, sizes: Sequence[int]) -> list[Layout]:
        """The layout in parts of so many columns.

        Raises:
            Apart: a cut would go through a channel's own block of columns.
        """
        ends = set(accumulate(sizes))
        while True:
            parts: list[list[Segment]] = [[]]
            at = 0
            for segment in self.settled(layout):
                inside = [end for end in ends if at < end < at + self._columns(segment)]
                if inside:
                    self._part(segment, min(inside) - at)
                    break
                parts[-1].append(segment)
                at += self._columns(segment)
                if at in ends:
                    parts.append([])
            else:
                return [tuple(part) for part in parts[: len(sizes)]]

    def blocks(self, layout: Layout, size: int) -> Layout:
        """The layout with every unit holding whole blocks of `size` columns.

        Raises:
            Apart: the channels do not fall into such blocks.
        """
        while True:
            settled = self.settled(layout)
            loose = next((s for s in settled if s.taps % size), None)
            if loose is None:
                return settled
            if size % loose.taps or self._widths[loose.group] % (size // loose.taps):
                raise Apart(f"its channels do not fall into blocks of {size}")
            many = size // loose.taps
            (unit,) = self.begin(self._widths[loose.group] // many)
            self._mean(loose.group, (Segment(unit.group, many),))

    def _columns(self, segment: Segment) -> int:
        return self._widths[segment.group] * segment.taps

    def _match(self, one: Segment, other: Segment) -> None:
        """One substitution towards making two stretches, which begin together, the same."""
        if self._columns(one) < self._columns(other):
            one, other = other, one
        if self._columns(one) > self._columns(other):
            self._part(one, self._columns(other))
            return
        if one.taps > other.taps:
            one, other = other, one
        if other.taps % one.taps:
            raise Apart(f"blocks of {one.taps} columns meet blocks of {other.taps}")
        if one.taps == other.taps and int(one.group) < int(other.group):
            one, other = other, one  # the older group stays
        self._mean(one.group, (Segment(other.group, other.taps // one.taps),))

    def _part(self, segment: Segment, columns: int) -> None:
        """Cut a group in two, where the segment has had so many columns."""
        if columns % segment.taps:
            raise Apart(f"a cut goes through a block of {segment.taps} columns")
        first = columns // segment.taps
        rest = self._widths[segment.group] - first
        self._mean(segment.group, self.begin(first) + self.begin(rest))

    def _mean(self, group: str, layout: Layout) -> None:
        self._meaning[group] = layout
        reason = self._frozen.get(group)
        if reason is not None:
            self.freeze(layout, reason)

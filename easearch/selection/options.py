"""The widths that each group may take, and what each would gain.

A width is in units of its group; it is the columns of its writers that a device likes in steps. The
gain of a width is the best sum of gains that brings the group there; of several candidates for one
channel (a split in two, three or four) at most one is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from easearch.errors import BudgetError
from easearch.graph import Graph, stride
from easearch.moves import Candidate, Move, NewNeuron, Split
from easearch.roles import Range

Alternatives = list[Candidate]
"""Candidates of which at most one can be taken."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """A group at one width: the moves that bring it there and the sum of their gains (nats)."""

    width: int
    gain: float
    moves: tuple[Move, ...]


Options = Mapping[str, tuple[Option, ...]]
"""For every growable group its options, the present width first."""


def options(
    candidates: Sequence[Candidate],
    graph: Graph,
    step: int,
    ranges: Mapping[str, Range] | None = None,
) -> dict[str, tuple[Option, ...]]:
    """Widths at which writers' columns are multiples of `step`, as far as the group's candidates
    and its ceiling reach; the present width always.

    Harmful candidates (negative gains) are taken only where a floor cannot be reached without.

    Raises:
        BudgetError: a candidate is no widening of a group.
    """
    ladders: dict[str, tuple[Option, ...]] = {}
    for name, found in _by_group(candidates, graph).items():
        wanted = (ranges or {}).get(name, Range())
        width, own = graph.groups[name].width, stride(graph, name, step)
        here = Option(width=width, gain=0.0, moves=())
        if wanted.fixed:
            ladders[name] = (here,)
            continue
        top = math.inf if wanted.high is None else wanted.high
        ladder = [here, *_rungs(width, [c for c in found if c.gain >= 0], own, top)]
        low = wanted.low or 0
        if ladder[-1].width < low and len(found) > 0:
            further = (o for o in _rungs(width, found, own, top) if o.width > ladder[-1].width)
            for option in further:
                ladder.append(option)
                if option.width >= low:
                    break
        ladders[name] = tuple(ladder)
    return ladders


def lowest(ladder: Sequence[Option], wanted: Range) -> int | None:
    """The number of the first option at or above the floor; None where none reaches it."""
    floor = wanted.low or 0
    return next((k for k, option in enumerate(ladder) if option.width >= floor), None)


def _by_group(candidates: Sequence[Candidate], graph: Graph) -> dict[str, list[Candidate]]:
    """Candidates of every group that can grow, best first."""
    found: dict[str, list[Candidate]] = {group.name: [] for group in graph.growable}
    for candidate in sorted(candidates, key=lambda c: -c.gain):
        if not isinstance(candidate.move, Split | NewNeuron):
            raise BudgetError(
                "expected candidates that widen a group (Split, NewNeuron), got "
                f"{type(candidate.move).__name__}; selectors buy width alone: apply it by itself"
            )
        if candidate.move.group in found:
            found[candidate.move.group].append(candidate)
    return found


def _rungs(width: int, best: Sequence[Candidate], step: int, top: float) -> Iterator[Option]:
    """The options above `width`, narrow to wide, of candidates given best first."""
    channels = _channels(best)
    single = all(len(one) == 1 and one[0].widening.added == 1 for one in channels)
    reach = sum(max(c.widening.added for c in one) for one in channels)
    reach = int(min(reach, max(top - width, 0)))
    wanted = [added for added in range(1, reach + 1) if (width + added) % step == 0]
    if not wanted:
        return
    taken = _prefixes(channels, wanted) if single else _best_sums(channels, wanted)
    for added, chosen in taken:
        yield Option(
            width=width + added,
            gain=sum(c.gain for c in chosen),
            moves=tuple(c.move for c in chosen),
        )


def _channels(best: Sequence[Candidate]) -> list[Alternatives]:
    """Candidates by the channel that they split; a new neuron stands alone."""
    found: dict[object, Alternatives] = {}
    for number, candidate in enumerate(best):
        places = candidate.move.channels
        found.setdefault(("split", places) if places else ("new", number), []).append(candidate)
    return list(found.values())


# --- formulas


def _prefixes(
    channels: Sequence[Alternatives], wanted: Sequence[int]
) -> Iterator[tuple[int, Alternatives]]:
    """Where each brings one channel, the best `added` are the first of them."""
    for added in wanted:
        yield added, [one[0] for one in channels[:added]]


def _best_sums(
    channels: Sequence[Alternatives], wanted: Sequence[int]
) -> Iterator[tuple[int, Alternatives]]:
    """For every number of added channels the candidates with the largest sum of gains, at most one
    a channel: a dynamic program over channels. Numbers that no choice adds up to are left out.
    """
    reach = wanted[-1]
    best = np.full(reach + 1, -np.inf)
    best[0] = 0.0
    picks = np.full((len(channels), reach + 1), -1, dtype=np.int16)
    for row, one in zip(picks, channels, strict=True):
        before = best.copy()
        for number, candidate in enumerate(one):
            added = candidate.widening.added
            if added > reach:
                continue
            with_it = before[: reach + 1 - added] + candidate.gain
            better = with_it > best[added:]
            best[added:][better] = with_it[better]
            row[added:][better] = number
    for added in wanted:
        if best[added] > -np.inf:
            yield added, _traced(channels, picks, added)


def _traced(channels: Sequence[Alternatives], picks: np.ndarray, left: int) -> Alternatives:
    chosen: Alternatives = []
    for row, one in zip(picks[::-1], reversed(channels), strict=True):
        if row[left] >= 0:
            chosen.append(one[row[left]])
            left -= chosen[-1].widening.added
    return chosen[::-1]

"""What an arm of a comparison gets, and what it delivers: the interface of everything in this
folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from easearch.comparing.point import Point
from easearch.graph import Graph
from easearch.growth.events import Watcher
from easearch.preflight.ready import Ready
from easearch.recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """Everything that one entry (an arm at a seed) may use; made anew for every entry.

    Torch's generators stand at the recipe's seed when the arm begins. Decisions are made on
    `ready.feed.validation()`; the test part is the judge's alone.
    """

    recipe: Recipe
    """At this entry's seed."""
    ready: Ready
    """Data, feed, seed network and its state, training, growing, and the limits (`ready.points`,
    the largest in `ready.bounds`), which are the same numbers for every entry of the comparison.
    """
    points: Sequence[Point]
    """The limits as numbers, smallest first, and the uniform network of each."""
    compute: float
    """Multiply-adds that the arm spends in all, to within one training step a limit: three forward
    passes a training sample, and everything that is counted besides.
    """
    folder: Path
    """The entry's own, to write into."""
    watch: Watcher
    option: str | None = None
    """What stands behind the colon of the arm's name: `firefly` of `grow:firefly`."""
    needed: Mapping[str, Path] = field(default_factory=dict)
    """The folders of the entries that this one needs, by arm (without option), of the same seed."""
    part: int = 0
    """Which of the entry's limits this is, counted from 0, where it is the setting of one of them
    (`easearch.comparing.apart`).
    """

    @property
    def uniform(self) -> Mapping[str, int]:
        """The widths of the widest uniform network that keeps the largest limits."""
        return self.points[-1].uniform

    @property
    def graph(self) -> Graph:
        """The seed's."""
        return self.ready.state.graph


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivered:
    """What an arm ends with at one limit. The judge exports, certifies and tests it."""

    model: nn.Module
    graph: Graph
    """The model's."""
    bill: Mapping[str, float]
    """Multiply-adds by purpose: `training`, `scoring`, `search`, ... What several networks of a
    front have in common stands on one bill, the first.
    """
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock by part, where the arm tells it; the judge takes that of the whole."""
    notes: Sequence[str] = ()
    """What a reader should know, as sentences."""

    @property
    def spent(self) -> float:
        """All multiply-adds."""
        return sum(self.bill.values())


def _nothing_behind(option: str | None) -> str | None:
    return None if option is None else f"expected nothing behind the colon, got '{option}'"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to a network within the limits, for an equal compute.

    Attributes:
        run: does it at one limit.
        about: what it is, as a reader of the table wants it.
        needs: arms whose entries of the same seed must be there first; what stands behind this
            arm's colon stands behind theirs too.
        refusal: why an option (None: none is given) cannot be taken; None where it can.
        package: that must be there, and the extra that brings it.
        front: does it at several limits, a network for each, in their order, from one compute.
            None: `run` does, once a limit with its share (`easearch.comparing.apart`).
        goes_on: whether it trains on from the weights that a network of the user's comes with; else
            it begins with random ones, which is told (`weights`).
    """

    run: Callable[[Setting], Delivered]
    about: str
    needs: tuple[str, ...] = ()
    refusal: Callable[[str | None], str | None] = _nothing_behind
    package: tuple[str, str] | None = None
    front: Callable[[Setting], list[Delivered]] | None = None
    goes_on: bool = False

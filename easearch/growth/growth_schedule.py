"""When and how far a network grows, growth by growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from easearch.roles import Range


@dataclass(frozen=True, kw_only=True)
class GrowthSchedule:
    """When and how a network grows.

    Attributes:
        stages: fractions of the way from the seed's cost to the limits, the last one 1.
        at: epochs after which the growths happen, one a stage.
        line_search: factors by which the plan's common step is tried.
        width_step: new widths are multiples of it.
        widths: group name -> the widths that it may take. Ceilings hold in every growth, floors in
            the last.
        layers: new layers a growth at most, where the criterion finds some.
        start: the widths that the run begins with, its weights drawn anew; None: the seed as it is.
    """

    stages: tuple[float, ...]
    at: tuple[float, ...]
    line_search: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5, 0.25)
    width_step: int
    widths: Mapping[str, Range] = field(default_factory=dict)
    layers: int = 0
    start: Mapping[str, int] | None = None

    def ranges(self, stage: int, seed: Mapping[str, int]) -> dict[str, Range]:
        """The widths that a stage allows; before the last, floors are a fraction of the way from
        the seed's widths, as limits are, and are gone towards as far as candidates and limits
        allow.

        Splits can at most double a group: what the last growth must reach has to begin before it.
        """
        if stage >= len(self.stages) - 1:
            return dict(self.widths)
        return {
            name: _eased(wanted, seed.get(name, wanted.low or 1), self.stages[stage])
            for name, wanted in self.widths.items()
        }


def _eased(wanted: Range, seed: int, share: float) -> Range:
    if wanted.low is None:
        return wanted
    return replace(wanted, low=int(seed + share * max(wanted.low - seed, 0)), firm=False)

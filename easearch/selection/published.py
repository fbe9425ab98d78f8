"""The published choice, to compare with: a linear program over fractions of splits, priced by MACs.

[Wang2019] D. Wang, M. Li, L. Wu, V. Chandra, Q. Liu: Energy-Aware Neural Architecture Optimization
with Fast Splitting Steepest Descent, arXiv:1910.03103: maximise `sum beta_i gain_i` subject to
`sum beta_i e_i <= E`, `0 <= beta_i <= 1`. Energies `e_i` are, as released, the square root of what
one more channel adds to the MACs at the present widths, and splits with `beta_i >= 0.9` are kept.
One constraint: the program's solution is the order by `gain_i / e_i` up to `E`, with one fraction.

Departures, so that the laws of every selector hold; `faithful=True` takes back all three:
1. `E` is bisected to the largest at which every limit is kept. As published it is a share of
   all energies, here that by which growing everything would just reach the tightest limit: costs
   are neither additive nor roots, so that the limit is missed on either side.
2. Widths are cut down to the device's step.
3. Room that is left is filled, as by all selectors.
Of several candidates for one channel, which the paper does not have, the one with the best ratio
takes part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from easearch.errors import BudgetError
from easearch.graph import Graph
from easearch.moves import Candidate, Plan, Price
from easearch.roles import Bound, Ranges
from easearch.selection.greedy import climbed
from easearch.selection.knapsack import Choice, planned
from easearch.selection.program import Program
from easearch.tracing import KINDS

KEPT = 0.9
"""Fraction from which a split is made."""
HALVINGS = 40
"""Of the share of the energies: more than there are candidates to tell apart."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """[Wang2019] as released, but for the departures above; the gap is not known.

    Attributes:
        faithful: without the departures: limits may be missed, and widths are off the step.
    """

    faithful: bool = False

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """The plan; it keeps every bound unless `faithful`.

        Raises:
            BudgetError: the network exceeds a bound before any growth, or a range cannot be kept;
                a faithful one is given ranges.
        """
        if self.faithful:
            if ranges:
                raise BudgetError(
                    "expected no widths to keep to, because the published form knows none; take "
                    "published without faithful, or another selector"
                )
            return as_released(candidates, graph, bounds)

        def solve(program: Program, start: np.ndarray) -> Choice:
            return _bisected(candidates, graph, program, start)

        return planned(candidates, graph, bounds, step, ranges, "published", solve, climbed)


def as_released(candidates: Sequence[Candidate], graph: Graph, bounds: Sequence[Bound]) -> Plan:
    """The plan without any departure."""
    began = time.perf_counter()
    ranked = _ranked(candidates, graph)
    everything = graph.after([candidate.move for candidate, _ in ranked])
    before = [bound.meter.cost(graph).total for bound in bounds]
    full = [bound.meter.cost(everything).total for bound in bounds]
    shares = (
        (bound.limit - least) / (most - least)
        for bound, least, most in zip(bounds, before, full, strict=True)
        if most > least
    )
    chosen = _afforded(ranked, min(1.0, *shares, 1.0))
    moves = tuple(candidate.move for candidate in chosen)
    after = graph.after(moves)
    return Plan(
        moves=moves,
        gain=sum(candidate.gain for candidate in chosen),
        widths=after.widths,
        prices=tuple(
            Price(
                meter=bound.meter.name,
                unit=bound.meter.unit,
                before=least,
                after=bound.meter.cost(after).total,
                limit=bound.limit,
            )
            for bound, least in zip(bounds, before, strict=True)
        ),
        gap=float("inf"),
        solver="published",
        seconds=time.perf_counter() - began,
    )


def _bisected(
    candidates: Sequence[Candidate], graph: Graph, program: Program, start: np.ndarray
) -> Choice:
    """Departures 1 and 2."""
    ranked = _ranked(candidates, graph)
    rungs = {name: [o.width for o in ladder] for name, ladder in program.choices.items()}

    def at(share: float) -> np.ndarray:
        widths = {name: ladder[0] for name, ladder in rungs.items()}
        for candidate in _afforded(ranked, share):
            widths[candidate.widening.group] += candidate.widening.added
        choice = {
            name: int(np.searchsorted(rungs[name], width, side="right")) - 1
            for name, width in widths.items()
        }
        return np.asarray(np.maximum(program.point(choice), start))

    return Choice(x=_largest(at, lambda x: program.kept(program.used(x)), start))


def _largest(
    at: Callable[[float], np.ndarray], kept: Callable[[np.ndarray], bool], start: np.ndarray
) -> np.ndarray:
    """What stands at the largest share that is kept, as far as bisection finds it."""
    if kept(everything := at(1.0)):
        return everything
    best, low, high = start, 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if kept(found := at(middle)):
            best, low = found, middle
        else:
            high = middle
    return best


def _ranked(candidates: Sequence[Candidate], graph: Graph) -> list[tuple[Candidate, float]]:
    """Candidates with their energies, best ratio first; one a channel, of groups that can grow."""
    energy = _Energies(graph)
    growable = {group.name for group in graph.growable}
    found: dict[object, tuple[Candidate, float]] = {}
    for candidate in candidates:
        if candidate.widening.group not in growable or candidate.gain <= 0:
            continue
        places = candidate.move.channels
        key = (candidate.widening.group, places) if places else id(candidate)
        one = (candidate, energy(candidate.widening.group, candidate.widening.added))
        if key not in found or _ratio(one) > _ratio(found[key]):
            found[key] = one
    return sorted(found.values(), key=_ratio, reverse=True)


def _ratio(one: tuple[Candidate, float]) -> float:
    return one[0].gain / max(one[1], 1e-30)


def _afforded(ranked: Sequence[tuple[Candidate, float]], share: float) -> list[Candidate]:
    """The splits whose fraction is kept when so large a share of all energies may be spent."""
    left = share * sum(energy for _, energy in ranked)
    chosen = []
    for candidate, energy in ranked:
        fraction = min(1.0, left / energy) if energy > 0 else 1.0
        if fraction < KEPT:
            break
        chosen.append(candidate)
        left = max(left - energy, 0.0)
    return chosen


class _Energies:
    """The square root of the MACs that channels more of one group add at the present widths."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[tuple[str, int], float] = {}

    def __call__(self, group: str, added: int) -> float:
        if (group, added) not in self.known:
            own = [layer.name for layer in self.graph.layers if group in layer.groups]
            wider = {group: self.graph.groups[group].width + added}
            more = sum(self._macs(name, wider) - self._macs(name, {}) for name in own)
            self.known[group, added] = max(more, 0.0) ** 0.5
        return self.known[group, added]

    def _macs(self, layer: str, widths: dict[str, int]) -> float:
        shape = self.graph.shape(layer, widths)
        return float(KINDS[shape.kind].macs(shape)) if shape.kind in KINDS else 0.0

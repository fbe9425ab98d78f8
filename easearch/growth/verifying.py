"""The last plan, measured as a whole before it is trained: the fullest one that holds.

A plan that measures over a limit is chosen again within a tighter one; where the next then leaves
much unused, within one between; where already the first leaves much unused, because predictions are
too high, within a looser one. A measurement that the others contradict is made again: moments in
which a machine is busy pass, and the smaller number counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from easearch.moves import Plan
from easearch.roles import Bound

MEASURED = 6
"""Measurements at most."""
SELECTED = 12
"""Plans that are made for them at most: two limits may give the same one, measured once."""
FULL = 0.97
"""A plan that uses so much of a limit is good enough."""
AIM = 0.99
"""What is aimed at, over the limit, when there is room to come back to."""
SPARE = 1.005
"""A limit is tightened by what a plan measured over it, times this."""
SAME = 1e-3
"""Relative difference of two plans' gains that says nothing: they are best to a gap."""
EDGE = 0.1
"""A limit between two others keeps so much of their distance from both."""
LOOSEST = 1.5
"""Times the limit: predictions that are further off are no base to plan on."""
NEAR = 1e-3
"""Relative distance of two limits between which none is looked for."""


@dataclass
class Span:
    """What measuring says of one meter's limit: the highest whose plan held, and the lowest cost
    that did not, each with measured over allowed cost.
    """

    full: float
    floor: float
    held: tuple[float, float] | None = None
    over: tuple[float, float] | None = None
    streak: int = 0
    """How often in a row the same end has moved: up if above 0, down if below."""

    def take(self, limit: float, cost: float, measured: float) -> None:
        """The plan of this limit, which is predicted to cost so much, measured so."""
        if measured > 1.0:
            self.over = min(self.over or (cost, measured), (cost, measured))
            self.streak = min(self.streak, 0) - 1
        else:
            self.held = max(self.held or (limit, measured), (limit, measured))
            self.streak = max(self.streak, 0) + 1

    @property
    def doubtful(self) -> bool:
        """Whether, by the plan that held, the one that did not would."""
        if self.held is None or self.over is None:
            return False
        return self.over[0] * self.held[1] <= self.held[0]

    def looser(self) -> float | None:
        """The limit beyond the true one that the plan which held makes room for; None: there is
        none, or that is as far as it goes.
        """
        if self.held is None or self.over is not None:
            return None
        limit, used = self.held
        wanted = min(limit * AIM / max(used, NEAR), LOOSEST * self.full)
        return wanted if wanted > limit * (1 + NEAR) else None

    def next(self) -> float | None:
        """The limit to try; None where there is none between.

        By the rule of Illinois: false position, in which an end that stays counts for half, and
        half again.
        """
        if self.over is None:
            return self.full
        cost, measured = self.over
        if self.held is None:
            return max(cost / (measured * SPARE), self.floor)
        low, used = self.held
        if cost - low <= NEAR * cost:
            return None
        missing, excess = max(AIM - used, 0.0), measured - AIM
        if self.streak > 1:
            excess *= 0.5 ** (self.streak - 1)
        if self.streak < -1:
            missing *= 0.5 ** (-self.streak - 1)
        inner = EDGE * (cost - low)
        between = low + missing * (cost - low) / (missing + excess)
        return min(max(between, low + inner), cost - inner)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A plan, the limits within which it was chosen, and what it measured: meter -> over allowed
    cost.
    """

    plan: Plan
    limits: Mapping[str, float]
    measured: Mapping[str, float]
    again: bool = False
    """Whether it was measured twice."""

    @property
    def worst(self) -> float:
        """Of the meters that measure."""
        return max(self.measured.values(), default=0.0)

    @property
    def widths(self) -> tuple[tuple[str, int], ...]:
        """What is measured."""
        return tuple(sorted(self.plan.widths.items()))

    def cost(self, meter: str) -> float:
        """What the plan is predicted to cost."""
        return next(price.after for price in self.plan.prices if price.meter == meter)

    def used(self, full: Mapping[str, float]) -> float:
        """Of the limit that it fills most: as measured where it was, else as predicted."""
        told = (p for p in self.plan.prices if p.meter not in self.measured)
        return max([self.worst, *(p.after / full[p.meter] for p in told)])


@dataclass
class Trials:
    """All plans that were measured, and what follows from them."""

    full: Mapping[str, float]
    floors: Mapping[str, float]
    tried: list[Trial] = field(default_factory=list)

    @property
    def best(self) -> Trial | None:
        """The one that holds and gains most; where selection knows gains no better, the fullest."""
        best: Trial | None = None
        for one in self.tried:
            if one.worst <= 1.0 and (best is None or self._better(one, best)):
                best = one
        return best

    @property
    def done(self) -> bool:
        """Whether the best is good enough: it fills a limit."""
        return self.best is not None and self.best.used(self.full) >= FULL

    def doubtful(self) -> Trial | None:
        """The one that did not hold although, by one that did, it would; once."""
        spans = self._spans()
        for one in self.tried:
            for name, measured in one.measured.items():
                point = (one.cost(name), measured)
                if not one.again and spans[name].doubtful and spans[name].over == point:
                    return one
        return None

    def limits(self) -> dict[str, float] | None:
        """The limits to choose within next; None where there is nothing more to try."""
        found, moved, spans = dict(self.full), False, self._spans()
        over = any(span.over is not None for span in spans.values())
        for name, span in spans.items():
            limit = span.next() if over else span.looser()
            moved = moved or (limit is not None and (span.over is not None or not over))
            found[name] = limit or (span.held or (self.full[name], 0.0))[0]
        return found if moved and all(found != one.limits for one in self.tried) else None

    def _spans(self) -> dict[str, Span]:
        spans: dict[str, Span] = {}
        for one in self.tried:
            for name, measured in one.measured.items():
                span = spans.setdefault(name, Span(self.full[name], self.floors[name]))
                span.take(one.limits[name], one.cost(name), measured)
        return spans

    def _better(self, one: Trial, best: Trial) -> bool:
        if abs(one.plan.gain - best.plan.gain) <= SAME * abs(best.plan.gain):
            return one.used(self.full) > best.used(self.full)
        return one.plan.gain > best.plan.gain


def verified(
    choose: Callable[[Sequence[Bound]], Plan],
    bounds: Sequence[Bound],
    floors: Mapping[str, float],
    measure: Callable[[Plan], Mapping[str, float]],
    told: Callable[[str], object],
) -> tuple[Plan, bool]:
    """The best plan that holds when the network is measured as a whole, and whether one does; if
    not, the one that is nearest to it.

    Args:
        choose: the plan within bounds.
        bounds: the limits.
        floors: meter -> what the network costs before any widths grow: no limit below it.
        measure: measured over allowed cost of a plan's network, by meter.
        told: hears in sentences what measuring changed.
    """
    trials = Trials({bound.meter.name: bound.limit for bound in bounds}, floors)
    limits, looks = trials.full, 0
    for _ in range(SELECTED):
        plan = choose([replace(b, limit=limits[b.meter.name]) for b in bounds])
        trial = Trial(plan=plan, limits=limits, measured={})
        same = [one for one in trials.tried if one.widths == trial.widths]
        if same:
            trial = replace(same[-1], limits=limits)
        else:
            if looks == 1 and trials.tried[0].worst <= 1.0:
                told(_under(trials.tried[0].used(trials.full)))
            trial = replace(trial, measured=measure(plan))
            looks += 1
            if trial.worst > 1.0:
                told(_over(trial.worst, first=looks == 1))
        trials.tried.append(trial)
        doubted = trials.doubtful()
        if doubted is not None and not trials.done and looks < MEASURED:
            looks += 1
            _look_again(trials, doubted, measure, told)
        further = None if trials.done or looks == MEASURED else trials.limits()
        if further is None:
            break
        limits = further
    best = trials.best
    if best is None:
        return min(reversed(trials.tried), key=lambda one: one.worst).plan, False
    if looks > 2:
        used = f"{100 * best.used(trials.full):.1f} % of a limit"
        told(f"after {looks} measurements the choice of widths that was kept uses {used}")
    return best.plan, True


def _look_again(
    trials: Trials,
    doubted: Trial,
    measure: Callable[[Plan], Mapping[str, float]],
    told: Callable[[str], object],
) -> None:
    """Measure a plan again, the smaller numbers count."""
    found = measure(doubted.plan)
    lower = {name: min(value, found[name]) for name, value in doubted.measured.items()}
    trials.tried = [
        replace(one, measured=lower, again=True) if one.widths == doubted.widths else one
        for one in trials.tried
    ]
    if max(lower.values()) <= 1.0:
        told(
            "measured again, a choice of widths that had been over the limit was within it: "
            "the machine was busy at first"
        )


def _under(used: float) -> str:
    return (
        f"measured as a whole, with a safety margin, the first choice of widths used "
        f"{100 * used:.0f} % of a limit; it was made again with a looser one"
    )


def _over(worst: float, first: bool) -> str:
    which = "the first" if first else "the next"
    return (
        f"measured as a whole, with a safety margin, {which} choice of widths was "
        f"{100 * (worst - 1):.1f} % over the limit; it was made again with a tighter one"
    )

"""The plan of a run: what growth can make of every limit, the widths, the time, the memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easearch.budget.quantities import Quantity
from easearch.budget.time_cap import TimeCap
from easearch.budget.unit_check import Reach
from easearch.errors import RecipeError
from easearch.graph import Graph
from easearch.growth.events import Phase, Watcher
from easearch.preflight.classes import ClassPlan, class_rows, class_sentence, classes_of
from easearch.preflight.estimate import Estimate, estimated
from easearch.preflight.points import budgets_of, growths, legs, reach_to
from easearch.preflight.reach import filled, parts
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.preflight.remarks import remarks
from easearch.recipe import Recipe
from easearch.reporting.digits import duration, percent, prefixed, quantity
from easearch.roles import Bound
from easearch.table import aligned

FULL = 0.9
"""A limit counts as filled from here on: the last step of widths rarely fits exactly."""
MINUTES = 2.0
"""Of measuring, at most."""
PRICING = 0.6
"""Of these minutes, for the operators of the network; what is left times the run's parts."""
AHEAD = 4.0
"""The reachable range is told up to so many times the limit; pricing wider networks is dear."""


@dataclass(frozen=True, kw_only=True)
class LimitPlan:
    """One limit: where the seed stands, what growth can reach, and where the run will end."""

    network: int
    """Of a front, which network it is for, from 1."""
    meter: str
    unit: str
    written: str
    """As the recipe says it: `latency: 2.5x`."""
    limit: float
    seed: float
    reach: float
    """What growth can reach if no limit stops it."""
    reach_ends: bool
    """Whether that is the end; if not, it was not looked at further."""
    expected: float
    """The cost at the widths that the run is expected to end with."""
    fills: bool
    verdict: str


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """One channel group: its width now, expected at the end, and at most; or why it is frozen."""

    name: str
    seed: int
    expected: int
    most: int
    frozen: str | None


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What a run can do and what it will take. `str()` is a table for people."""

    name: str
    budget_device: str
    precision: str
    limits: tuple[LimitPlan, ...]
    groups: tuple[GroupPlan, ...]
    classes: tuple[ClassPlan, ...]
    growths: tuple[float, ...]
    """Epochs after which the network grows, in a front its trunk."""
    networks: int
    """How many are delivered."""
    trunk: float | None
    """Epochs after which the trunk of a front ends; None: no front."""
    width_step: int
    estimate: Estimate
    notes: tuple[str, ...]
    took: float
    """Seconds that planning took."""

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that can grow, and all."""
        free = sum(group.seed for group in self.groups if group.frozen is None)
        return free, sum(group.seed for group in self.groups)

    def limit_rows(self) -> list[tuple[str, ...]]:
        """A row a limit, the head first."""
        rows: list[tuple[str, ...]] = [
            ("limit", "at most", "seed", "growth reaches", "expected", "verdict")
        ]
        for one in self.limits:
            upto = quantity(one.reach, one.unit)
            rows.append(
                (
                    one.meter if self.trunk is None else f"{one.meter} of network {one.network}",
                    quantity(one.limit, one.unit),
                    quantity(one.seed, one.unit),
                    upto if one.reach_ends else f"{upto} and more",
                    quantity(one.expected, one.unit),
                    one.verdict,
                )
            )
        return rows

    def group_rows(self) -> list[tuple[str, ...]]:
        """A row a channel group, the head first."""
        rows: list[tuple[str, ...]] = [("channel group", "seed", "expected", "at most", "grows")]
        for one in self.groups:
            widths = (one.seed, one.expected, one.most)
            grows = "yes" if one.frozen is None else f"no: {one.frozen}"
            rows.append((one.name, *map(str, widths), grows))
        return rows

    def class_rows(self) -> list[tuple[str, ...]]:
        """A row a class, the head first; empty where all classes have alike."""
        return class_rows(self.classes)

    def cost_rows(self) -> list[tuple[str, str]]:
        """What the run takes: a row a part, the total, memory and multiply-adds."""
        takes = self.estimate
        most = "up to " if takes.at_most else ""
        rows = [
            (part, (most if part == "scoring" else "") + duration(seconds))
            for part, seconds in takes.seconds.items()
        ]
        rows.append(("time in all", most + duration(takes.total)))
        rows.append(("peak memory", most + quantity(takes.memory_mb * 1e6, "bytes")))
        rows.append(("compute", most + prefixed(takes.compute["total"], "MACs")))
        return rows

    def sentences(self) -> list[str]:
        """What stands between the tables: the schedule, the data, the channels, the machine."""
        free, of = self.channels
        takes = self.estimate
        cores = "1 core" if takes.cores == 1 else f"{takes.cores} cores"
        threads = "1 thread" if takes.threads == 1 else f"{takes.threads} threads"
        return [
            self._schedule(),
            class_sentence(self.classes),
            f"{free:,} of {of:,} channels can grow.",
            f"Estimated from a few steps on {takes.device} ({cores}, {threads}):",
        ]

    def _schedule(self) -> str:
        times = "once" if len(self.growths) == 1 else f"{len(self.growths)} times"
        when = f"{times} (after epoch {', '.join(f'{moment:.3g}' for moment in self.growths)})"
        where = f"{self.budget_device}, {self.precision}, in steps of {self.width_step} channels"
        if self.trunk is None:
            return f"{self.name}: grown {when} for {where}."
        grows = f"grows {when}" if self.growths else "begins at its largest size"
        return (
            f"{self.name}: a front of {self.networks} networks for {where}. The trunk {grows} "
            f"and ends at epoch {self.trunk:.3g}; a network for each limit is trained to the end. "
            "Epochs are shares of the compute: one of the uniform network within the largest "
            "limits takes as much."
        )

    def __str__(self) -> str:
        """The limits, the widths, what it takes, and notes."""
        about, data, grows, takes = self.sentences()
        width = max(len(name) for name, _ in self.cost_rows())
        costs = [f"{name:<{width}}  {value}" for name, value in self.cost_rows()]
        parts = [about, "", *aligned(self.limit_rows()), "", data]
        parts += aligned(rows) if (rows := self.class_rows()) else []
        parts += ["", grows, *aligned(self.group_rows())]
        return "\n".join([*parts, "", takes, *costs, *(f"note: {note}" for note in self.notes)])


def plan(
    recipe: str | Path | Recipe,
    *,
    overrides: Mapping[str, Any] | None = None,
    watch: Watcher | None = None,
    minutes: float = MINUTES,
) -> Preflight:
    """Tell what a run can do and will take, before anything is spent: nothing is trained.

    A few steps are timed on the recipe's own data; what is measured of the device is kept, so that
    the run need not measure it again.

    Args:
        recipe: a YAML file, or a recipe.
        overrides: other values at dotted paths, `{"training.epochs": 2}`.
        watch: is told what happens (`easearch.growth.events`).
        minutes: of measuring at most, about; past it operators and parts of the run are estimated
            from what was measured, and notes say which.

    Raises:
        RecipeError: minutes that are not above 0.
        EasearchError: the run cannot be done; `grow` refuses it with the same sentence.
    """
    began = time.perf_counter()
    if not minutes > 0:
        raise RecipeError(f"minutes: expected a number above 0, got {minutes!r}")
    if isinstance(recipe, Recipe):
        chosen = recipe.changed(overrides) if overrides else recipe
    else:
        chosen = Recipe.load(recipe, overrides)
    told = watch or (lambda event: None)
    with seeded(chosen):
        ready = make_ready(chosen, told, PRICING * 60 * minutes)
        told(Phase(name="fill", detail="widths that the limits allow"))
        stages = filled(ready.state.graph, ready.growing, ready.targets)
        if ready.growing.start is not None:  # the largest is no guess, the others are cut from it
            stages = parts(stages, ready.state.graph.with_widths(ready.growing.start))
        left = 60 * minutes - (time.perf_counter() - began - ready.loaded)
        takes = estimated(ready, stages, told, TimeCap(left))
        limits = _limits(ready, stages)
    return Preflight(
        name=chosen.name,
        budget_device=ready.budget.device,
        precision=ready.budget.precision,
        limits=limits,
        groups=_groups(ready, stages[-1]),
        classes=classes_of(ready.data),
        growths=ready.growing.at,
        networks=len(ready.points),
        trunk=chosen.front.trunk * ready.training.epochs if len(ready.points) > 1 else None,
        width_step=ready.growing.width_step,
        estimate=takes,
        notes=(*ready.notes, *remarks(ready, takes, minutes)),
        took=time.perf_counter() - began,
    )


def _limits(ready: Ready, stages: Sequence[Graph]) -> tuple[LimitPlan, ...]:
    """Those of every network, the smallest first."""
    budgets, count = budgets_of(ready.recipe), len(ready.points)
    found = []
    for number, (bounds, budget) in enumerate(zip(ready.points, budgets, strict=True)):
        network = stages[growths(number, count, len(stages)) - 1]
        ends = [bound.meter.cost(network).total for bound in bounds]
        shares = [end / bound.limit for end, bound in zip(ends, bounds, strict=True)]
        fullest = bounds[max(range(len(shares)), key=shares.__getitem__)]
        for bound, reach, end in zip(bounds, ready.reaches, ends, strict=True):
            there = reach_to(reach, number, legs(ready.recipe))
            written = budget.quantities[bound.meter.name]
            found.append(_limit(number + 1, bound, there, written, end, fullest))
    return tuple(found)


def _limit(
    network: int, bound: Bound, reach: Reach, written: Quantity, end: float, fullest: Bound
) -> LimitPlan:
    top, ends = reach.climbed(AHEAD * bound.limit)
    return LimitPlan(
        network=network,
        meter=bound.meter.name,
        unit=bound.meter.unit,
        written=f"{written.key}: {written.text}",
        limit=bound.limit,
        seed=reach.own,
        reach=top,
        reach_ends=ends,
        expected=end,
        fills=end >= FULL * bound.limit,
        verdict=_verdict(bound, end, fullest, end / max(bound.limit, 1e-30), top),
    )


def _verdict(bound: Bound, end: float, fullest: Bound, share: float, top: float) -> str:
    if share >= FULL:
        return "met and filled"
    left = f"met, filled to {percent(share, 0)}"
    if top < bound.limit:
        return f"{left}: growth reaches no further"
    if fullest is not bound:
        return f"{left}: {fullest.meter.name} is full first"
    return f"{left}: the stages or the step of widths leave the rest"


def _groups(ready: Ready, final: Graph) -> tuple[GroupPlan, ...]:
    widest: Sequence[Graph] = ready.reaches[0].graphs
    return tuple(
        GroupPlan(
            name=group.name,
            seed=group.width,
            expected=final.groups[group.name].width,
            most=widest[-1].groups[group.name].width,
            frozen=group.frozen,
        )
        for group in ready.state.graph.channel_groups
    )

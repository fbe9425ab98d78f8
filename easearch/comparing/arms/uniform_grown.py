"""Uniform widths, grown: new neurons that nobody reads yet, as many as the uniform network has at
each growth's limits, and no scoring.

A criterion and a selector for the growth loop: the candidates are all worth the same, the widths
are set beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from easearch.assembly import Assembly
from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.grow import as_said, branched, delivered, varied
from easearch.comparing.arms.variant import refused
from easearch.front import FrontAssembly
from easearch.graph import Graph
from easearch.growth.front import spent_since
from easearch.growth.loop import Grower
from easearch.moves import Candidate, NewNeuron, Plan, Price
from easearch.preflight.ready import Ready
from easearch.preflight.uniform import widest_uniform
from easearch.roles import Batches, Bound, Loss, Ranges
from easearch.scoring import Scores
from easearch.scoring.unscored import generator_of, newborns

Widths = Mapping[str, int]
Stage = tuple[float, Widths]
"""The first limit at a growth, and the widths of the uniform network that keeps them all."""


def run(contest: Setting) -> Delivered:
    """The recipe's schedule and moments of growth, with other widths and other moves."""
    ready = _silent(contest)
    growing = ready.growing
    seed = [bound.meter.cost(contest.graph).total for bound in ready.bounds]
    stages: list[Stage] = []
    for share in growing.stages[:-1]:
        limits = [s + share * (b.limit - s) for s, b in zip(seed, ready.bounds, strict=True)]
        bounds = [replace(b, limit=one) for b, one in zip(ready.bounds, limits, strict=True)]
        found = widest_uniform(
            contest.graph, bounds, growing.width_step, growing.widths, measure=False
        )
        stages.append((limits[0], found.widths))
    stages.append((ready.bounds[0].limit, contest.uniform))
    grower = _blank(Assembly(ready, contest.folder, contest.watch).grower(), stages, contest)
    grower.run()
    return delivered(grower, spent_since(grower))


def front(contest: Setting) -> list[Delivered]:
    """A trunk through the uniform widths of all limits, and its branches."""
    limits = (bounds[0].limit for bounds in contest.ready.points)
    stages = [(limit, one.uniform) for limit, one in zip(limits, contest.points, strict=True)]
    assembly = FrontAssembly(_silent(contest), contest.folder, contest.watch)
    return branched(assembly, _blank(assembly.trunk.grower(), stages, contest))


def _silent(contest: Setting) -> Ready:
    """From the seed on; without outgoing columns a step has no length to search."""
    ready = varied(contest, _from_the_seed)
    return replace(ready, growing=replace(ready.growing, line_search=()))


def _from_the_seed(contest: Setting) -> Mapping[str, Any]:
    return {"front.start": "seed", **as_said(contest)}


def _blank(grower: Grower, stages: Sequence[Stage], contest: Setting) -> Grower:
    grower.criterion = Blank(widths=contest.uniform, seed=contest.recipe.seed)
    grower.selector = Given(stages=tuple(stages))
    grower.verify = lambda graph, bounds: {}  # these widths were measured when they were found
    return grower


@dataclass(frozen=True, kw_only=True)
class Blank:
    """New neurons of every growable group, up to these widths, all worth nothing.

    No batch is looked at (`easearch.scoring.unscored`).
    """

    widths: Widths
    seed: int

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """As many of each group as it may still be widened by."""
        generator = generator_of(graph, self.seed)
        return Scores(
            Candidate(move=move, gain=0.0)
            for group in graph.growable
            for move in newborns(
                model, graph, group, self.widths[group.name] - group.width, generator
            )
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """Takes candidates until the groups have the widths of the stage that the limits belong to."""

    stages: tuple[Stage, ...]

    def select(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        bounds: Sequence[Bound],
        step: int,
        ranges: Ranges | None = None,
    ) -> Plan:
        """The plan, with what it costs under every bound."""
        now = graph.widths
        reached = [w for limit, w in self.stages if limit <= bounds[0].limit * (1 + 1e-9)]
        widths = reached[-1] if reached else now
        left = {name: max(widths[name] - now[name], 0) for name in now}
        moves = []
        for one in candidates:
            if isinstance(one.move, NewNeuron) and left[one.move.group] > 0:
                left[one.move.group] -= 1
                moves.append(one.move)
        grown = {name: max(widths[name], now[name]) for name in now}
        return Plan(
            moves=tuple(moves),
            gain=0.0,
            widths=grown,
            prices=tuple(_price(bound, graph, graph.with_widths(grown)) for bound in bounds),
            gap=0.0,
            solver="given",
            seconds=0.0,
        )


def _price(bound: Bound, before: Graph, after: Graph) -> Price:
    meter = bound.meter
    return Price(
        meter=meter.name,
        unit=meter.unit,
        before=meter.cost(before).total,
        after=meter.cost(after).total,
        limit=bound.limit,
    )


UNIFORM_GROWN = Arm(
    run=run,
    front=front,
    about="the uniform widths of each growth's limits, grown by new neurons without scoring",
    refusal=refused,
    goes_on=True,
)

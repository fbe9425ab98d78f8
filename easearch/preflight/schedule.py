"""When a run grows, towards which share of the way, and on how much compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.training import Training
from easearch.preflight.uniform import widest_uniform
from easearch.recipe import Recipe
from easearch.roles import Bound
from easearch.selection import resolved

GROWN = 0.35
"""Of the compute of a run with one limit: by then its last growth has come."""


def training_of(recipe: Recipe) -> Training:
    """The recipe's; its compute is known once its limits are priced (`scheduled`)."""
    part = recipe.training
    return Training(
        epochs=part.epochs,
        compute=part.compute,
        rate=part.rate,
        momentum=part.momentum,
        weight_decay=part.weight_decay,
        label_smoothing=part.label_smoothing,
        warmup=part.warmup,
        hold=part.hold,
    )


def growing_of(recipe: Recipe, graph: Graph, width_step: int) -> GrowthSchedule:
    """The recipe's growths. How far those of a front go is known once its limits are priced
    (`scheduled`).
    """
    part, count = recipe.growth, len(recipe.budget.points)
    several = tuple((number + 1) / count for number in range(count))
    return GrowthSchedule(
        stages=part.stages if count == 1 else several,
        at=_moments(recipe),
        line_search=part.line_search,
        width_step=width_step,
        widths=resolved({name: one.range for name, one in part.widths.items()}, graph),
        layers=part.layers,
    )


def scheduled(
    recipe: Recipe,
    graph: Graph,
    points: Sequence[Sequence[Bound]],
    growing: GrowthSchedule,
    training: Training,
    samples: int,
    uniform: Mapping[str, int] | None = None,
) -> tuple[GrowthSchedule, Training]:
    """The growths and the compute of a run, from the uniform network within its largest limits.

    Epochs of the recipe are epochs of that network. A trunk that begins as it does not grow.

    Args:
        graph: the seed.
        points: the limits of every network, smallest first.
        growing: the recipe's (`growing_of`).
        training: the recipe's.
        samples: in one training epoch.
        uniform: the widths of that network, where they are known.
    """
    step, ranges = growing.width_step, growing.widths
    if uniform is None and (training.compute is None or recipe.wide):
        # what a trunk begins as is measured: it will be delivered
        uniform = widest_uniform(graph, points[-1], step, ranges, measure=recipe.wide).widths
    if training.compute is None:
        macs = float(Compute.macs_of(graph.with_widths(uniform or {})))
        training = replace(training, compute=3.0 * macs * samples * training.epochs)
    if recipe.wide:
        return replace(growing, stages=(), at=(), start=uniform), training
    stages = recipe.growth.stages
    if len(points) > 1:
        stages = tuple(_share(graph, bounds, points[-1]) for bounds in points)
    return replace(growing, stages=stages, at=_moments(recipe), start=None), training


def _moments(recipe: Recipe) -> tuple[float, ...]:
    """The epochs after which the network grows. Unsaid, at one limit every size takes twice the
    compute of the one before, and the last most of it. In a front, which delivers them all, the
    seed and every size take as much: small ones see the most batches, and the largest comes late.
    """
    growth, front, count = recipe.growth, recipe.front, len(recipe.budget.points)
    if count == 1:
        last = 2 ** len(growth.stages) - 1
        doubling = (GROWN * (2**number - 1) / last for number in range(1, 1 + len(growth.stages)))
        at = growth.at or tuple(doubling)
    else:
        at = front.at or tuple(front.trunk * number / (1 + count) for number in range(1, 1 + count))
    return tuple(share * recipe.training.epochs for share in at)


def _share(graph: Graph, bounds: Sequence[Bound], last: Sequence[Bound]) -> float:
    """How far on the way from the seed's cost to the last limits these are: the meter counts whose
    limit is the least far.
    """
    shares = []
    for bound, end in zip(bounds, last, strict=True):
        own = bound.meter.cost(graph).total
        shares.append((bound.limit - own) / (end.limit - own) if end.limit > own else 1.0)
    return min(shares)

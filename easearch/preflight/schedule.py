"""When a run grows, towards which share of the way, and on how much compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from easearch.errors import RecipeError
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.growing import Growing
from easearch.growth.training import Training
from easearch.preflight.uniform import widest_uniform
from easearch.recipe import Recipe
from easearch.roles import Bound
from easearch.selection import resolved

EARLY = 1 / 6
"""Of the trunk, where the smaller networks are cut from its end: it is grown by then."""


def training_of(recipe: Recipe) -> Training:
    """The recipe's; a front's compute is known once its limits are priced (`of_front`)."""
    part = recipe.training
    return Training(
        epochs=part.epochs,
        compute=part.compute,
        rate=part.rate,
        momentum=part.momentum,
        weight_decay=part.weight_decay,
        label_smoothing=part.label_smoothing,
        warmup=part.warmup,
    )


def growing_of(recipe: Recipe, graph: Graph, width_step: int) -> Growing:
    """The recipe's growths, in epochs. Of a front only their number is known before its limits are
    priced: they stand at equal distances until `of_front` puts them where they belong.

    Raises:
        RecipeError: growths that the epochs leave no room for.
    """
    part, count = recipe.growth, len(recipe.budget.points)
    stages, at = part.stages, _moments(recipe) if count == 1 else ()
    if count > 1:
        stages = tuple((number + 1) / count for number in range(count))
        end = recipe.front.trunk * recipe.training.epochs
        at = tuple(end * (number + 1) / (count + 1) for number in range(count))
    return Growing(
        stages=stages,
        at=at,
        line_search=part.line_search,
        width_step=width_step,
        widths=resolved({name: one.range for name, one in part.widths.items()}, graph),
        layers=part.layers,
    )


def of_front(
    recipe: Recipe,
    graph: Graph,
    points: Sequence[Sequence[Bound]],
    growing: Growing,
    training: Training,
    samples: int,
    uniform: Sequence[Mapping[str, int]] | None = None,
) -> tuple[Growing, Training]:
    """The growths and the compute of a front, from the uniform network within each of its limits.

    Epochs of the recipe are epochs of the uniform network within the largest limits. A trunk that
    begins as that network does not grow. Where the recipe says no moments for one that does, the
    seed and every size of the trunk see the same number of batches: the share of compute that a
    stretch of the trunk takes goes with its network's multiply-adds, and the first growth comes
    early.

    Args:
        graph: the seed.
        points: the limits of every network, smallest first.
        growing: the recipe's (`growing_of`).
        training: the recipe's.
        samples: in one training epoch.
        uniform: the widths of those networks, where they are known.
    """
    epochs, step, ranges = training.epochs, growing.width_step, growing.widths
    if uniform is None:  # the trunk's first network is measured: it will be delivered
        found = [
            widest_uniform(graph, one, step, ranges, measure=recipe.wide and one is points[-1])
            for one in points
        ]
        uniform = [one.widths for one in found]
    macs = [float(Compute.macs_of(graph.with_widths(one))) for one in uniform]
    compute = training.compute or 3.0 * macs[-1] * samples * epochs
    training = replace(training, compute=compute)
    if recipe.wide:
        return replace(growing, stages=(), at=(), start=uniform[-1]), training
    front = recipe.front
    end = front.trunk if front.smaller == "branch" else EARLY * front.trunk
    at = front.at or _alike([float(Compute.macs_of(graph)), *macs], end)
    moments = tuple(share * epochs for share in at)
    stages = tuple(_share(graph, bounds, points[-1]) for bounds in points)
    return replace(growing, stages=stages, at=moments, start=None), training


def _alike(macs: Sequence[float], trunk: float) -> tuple[float, ...]:
    """Shares of the whole compute after which the trunk grows, if each of its networks, the seed
    first, sees the same number of batches until it ends.
    """
    return tuple(trunk * spent / sum(macs) for spent in accumulate(macs[:-1]))


def _share(graph: Graph, bounds: Sequence[Bound], last: Sequence[Bound]) -> float:
    """How far on the way from the seed's cost to the last limits these are: the meter counts whose
    limit is the least far.
    """
    shares = []
    for bound, end in zip(bounds, last, strict=True):
        own = bound.meter.cost(graph).total
        shares.append((bound.limit - own) / (end.limit - own) if end.limit > own else 1.0)
    return min(shares)


def _moments(recipe: Recipe) -> tuple[float, ...]:
    """The epochs after which the network grows: whole ones, unless they pass with the compute."""
    part, epochs = recipe.growth, recipe.training.epochs
    at: tuple[float, ...] = tuple(max(round(moment * epochs), 1) for moment in part.at)
    if recipe.training.compute is not None:
        at = tuple(moment * epochs for moment in part.at)
    if len(set(at)) < len(at) or at[-1] >= epochs:
        raise RecipeError(
            "growth.at: expected moments in different epochs before the last, got "
            f"{list(part.at)} of {epochs} epochs, that is epochs {list(at)}; "
            "train longer or grow less often"
        )
    return at

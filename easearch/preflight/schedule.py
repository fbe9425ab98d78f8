"""When a run grows, towards which share of the way, and on how much compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from easearch.errors import RecipeError
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.growing import Growing
from easearch.growth.training import Training
from easearch.preflight.uniform import widest_uniform
from easearch.recipe import Recipe
from easearch.roles import Bound
from easearch.selection import resolved


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
    """The recipe's growths, in epochs. How far those of a front go is known once its limits are
    priced (`of_front`).

    Raises:
        RecipeError: growths that the epochs leave no room for.
    """
    part, count = recipe.growth, len(recipe.budget.points)
    several = tuple((number + 1) / count for number in range(count))
    return Growing(
        stages=part.stages if count == 1 else several,
        at=_moments(recipe) if count == 1 else _moments_of_front(recipe),
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
    uniform: Mapping[str, int] | None = None,
) -> tuple[Growing, Training]:
    """The growths and the compute of a front, from the uniform network within its largest limits.

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
    if uniform is None:  # what a trunk begins as is measured: it will be delivered
        uniform = widest_uniform(graph, points[-1], step, ranges, measure=recipe.wide).widths
    macs = float(Compute.macs_of(graph.with_widths(uniform)))
    compute = training.compute or 3.0 * macs * samples * training.epochs
    training = replace(training, compute=compute)
    if recipe.wide:
        return replace(growing, stages=(), at=(), start=uniform), training
    stages = tuple(_share(graph, bounds, points[-1]) for bounds in points)
    return replace(growing, stages=stages, at=_moments_of_front(recipe), start=None), training


def _share(graph: Graph, bounds: Sequence[Bound], last: Sequence[Bound]) -> float:
    """How far on the way from the seed's cost to the last limits these are: the meter counts whose
    limit is the least far.
    """
    shares = []
    for bound, end in zip(bounds, last, strict=True):
        own = bound.meter.cost(graph).total
        shares.append((bound.limit - own) / (end.limit - own) if end.limit > own else 1.0)
    return min(shares)


def _moments_of_front(recipe: Recipe) -> tuple[float, ...]:
    """The epochs after which a trunk grows. Unsaid, the seed and every size of it take as much
    compute, so that small ones see the most batches, and the largest comes late.
    """
    front, count = recipe.front, len(recipe.budget.points)
    at = front.at or tuple(front.trunk * (number + 1) / (count + 1) for number in range(count))
    return tuple(share * recipe.training.epochs for share in at)


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

"""Growing by the recipe, on a schedule in compute; and its placebos, which are the same growth with
gains that mean nothing, and the same cuts by worths that mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from easearch.assembly import Assembly
from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.variant import changes_of, refused
from easearch.front import FrontAssembly
from easearch.graph import Graph
from easearch.growth.front import Worth, spent_since
from easearch.growth.growth_schedule import GrowthSchedule
from easearch.growth.loop import Grower
from easearch.preflight.ready import Ready
from easearch.preflight.schedule import scheduled
from easearch.recipe import Recipe
from easearch.recipe.scored import name_and_options
from easearch.roles import Batches, Loss, Worths
from easearch.scoring.shuffled import dealt
from easearch.scoring.worth import worth

Changes = Callable[[Setting], Mapping[str, Any]]
"""Dotted path in a recipe -> value: by what an arm differs from the recipe."""


def as_said(contest: Setting) -> Mapping[str, Any]:
    """What stands behind the colon."""
    return changes_of(contest.option)


def shuffled(contest: Setting) -> Mapping[str, Any]:
    """The gains of the recipe's criterion dealt out at random among its candidates."""
    said = changes_of(contest.option)
    of, options = name_and_options(contest.recipe.changed(said).growth.criterion)
    dealt = {"name": "shuffled", "of": of, "seed": contest.recipe.seed, **options}
    return {**said, "growth.criterion": dealt}


def random(contest: Setting) -> Mapping[str, Any]:
    """Random directions with random gains."""
    blind = {"name": "random", "seed": contest.recipe.seed}
    return {**changes_of(contest.option), "growth.criterion": blind}


def grown(contest: Setting, changes: Changes) -> Delivered:
    """Grow by the recipe with these changes."""
    grower = Assembly(varied(contest, changes), contest.folder, contest.watch).grower()
    grower.run()
    return delivered(grower, spent_since(grower))


def fronted(contest: Setting, changes: Changes, by: Worth = worth) -> list[Delivered]:
    """The same at several limits: a trunk and its branches, cut by what channels are worth."""
    assembly = FrontAssembly(varied(contest, changes), contest.folder, contest.watch, by)
    return branched(assembly, assembly.grower())


def blindly(contest: Setting, changes: Changes) -> list[Delivered]:
    """A front that is cut by chance: what channels are worth, dealt out at random among them."""

    def by(model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Worths:
        return dealt(worth(model, graph, batches, loss), contest.recipe.seed)

    return fronted(contest, changes, by)


def branched(assembly: FrontAssembly, trunk: Grower) -> list[Delivered]:
    """What the branches of a trunk deliver; its own compute and time stand with the first."""
    grown = list(assembly.grown(trunk))
    bills = [spent_since(branch) for branch in grown]
    bills[0] = {key: macs + bills[0][key] for key, macs in spent_since(trunk).items()}
    for part, seconds in trunk.seconds.items():
        grown[0].seconds[part] = grown[0].seconds.get(part, 0.0) + seconds
    return [delivered(branch, own) for branch, own in zip(grown, bills, strict=True)]


def delivered(grower: Grower, spent: Mapping[str, float]) -> Delivered:
    """What a grower ends with."""
    return Delivered(
        model=grower.state.model,
        graph=grower.state.graph,
        bill=spent,
        seconds=dict(grower.seconds),
    )


def varied(contest: Setting, changes: Changes) -> Ready:
    """What the arm grows with: the recipe with these changes, on the comparison's terms."""
    ready, recipe = contest.ready, contest.recipe.changed(changes(contest))
    feed = replace(ready.feed, recipe=recipe)  # which images are scored is the recipe's to say
    return replace(ready, recipe=recipe, feed=feed, growing=_growing(contest, recipe))


def _growing(contest: Setting, recipe: Recipe) -> GrowthSchedule:
    """The recipe's moments and shares, on the comparison's grid of widths."""
    part, ready = recipe.growth, contest.ready
    found, _ = scheduled(
        recipe,
        contest.graph,
        ready.points,
        replace(ready.growing, line_search=part.line_search, layers=part.layers),
        ready.training,
        ready.feed.samples,
        contest.uniform,
    )
    return found


def _arm(
    changes: Changes,
    about: str,
    front: Callable[..., list[Delivered]] = fronted,
) -> Arm:
    return Arm(
        run=partial(grown, changes=changes),
        front=partial(front, changes=changes),
        about=about,
        refusal=refused,
        goes_on=True,
    )


GROW = _arm(as_said, "grown by the recipe")
SHUFFLED = _arm(shuffled, "grown by the recipe, all gains dealt out at random: a placebo", blindly)
RANDOM = _arm(random, "grown by the recipe, random directions and gains: a placebo", blindly)

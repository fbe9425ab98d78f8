"""A front of networks that have nothing in common: one run a limit, each with its share of the
compute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.files import part_folder
from easearch.growth.front import weighted
from easearch.preflight.ready import Ready
from easearch.preflight.schedule import scheduled
from easearch.recipe import Recipe


def apart(
    run: Callable[[Setting], Delivered],
    contest: Setting,
    shares: str = "macs",
) -> list[Delivered]:
    """Run once a limit, from the same random numbers.

    Args:
        run: of an arm, at one limit.
        contest: with one limit or more.
        shares: how the compute is shared: by the multiply-adds of the uniform networks (`macs`), so
            that all see as many batches, or `equal`.
    """
    found = []
    for number, share in enumerate(weighted([point.macs for point in contest.points], shares)):
        torch.manual_seed(contest.recipe.seed)
        found.append(run(part(contest, number, share * contest.compute)))
    return found


def part(contest: Setting, number: int, compute: float) -> Setting:
    """The setting of one limit, as it would be alone with so much compute: the recipe's epochs
    are shares of it, growths happen by `growth`, and the seed network is a copy.
    """
    limits = dict(contest.recipe.budget.points[number])
    recipe = contest.recipe.changed({"budget.limits": limits, "training.compute": compute})
    return replace(
        contest,
        recipe=recipe,
        ready=_ready(contest, recipe, number),
        points=(contest.points[number],),
        compute=compute,
        folder=part_folder(contest.folder, number, len(contest.points)),
        part=number,
    )


def _ready(contest: Setting, recipe: Recipe, number: int) -> Ready:
    ready, points = contest.ready, (contest.ready.points[number],)
    growing, training = scheduled(
        recipe,
        contest.graph,
        points,
        ready.growing,
        replace(ready.training, compute=recipe.training.compute),
        ready.feed.samples,
        contest.points[number].uniform,
    )
    return replace(
        ready,
        recipe=recipe,
        points=points,
        state=ready.state.copied(),
        training=training,
        growing=growing,
    )

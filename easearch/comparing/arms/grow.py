"""Growing by the recipe, on a schedule in compute; and its placebos, which are the same growth with
gains that mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from easearch.assembly import Assembly
from easearch.comparing.arms.arm import Arm, Delivered, Setting
from easearch.errors import nearest
from easearch.growth.loop import Grower


def run(contest: Setting) -> Delivered:
    """The recipe's growth, or the recipe's with the criterion behind the colon."""
    return grown(contest, {} if contest.option is None else {"criterion": contest.option})


def shuffled(contest: Setting) -> Delivered:
    """The gains of `unit` dealt out at random among its candidates."""
    return grown(contest, {"criterion": {"name": "shuffled", "seed": contest.recipe.seed}})


def random(contest: Setting) -> Delivered:
    """Random directions with random gains."""
    return grown(contest, {"criterion": {"name": "random", "seed": contest.recipe.seed}})


def grown(contest: Setting, changes: Mapping[str, Any]) -> Delivered:
    """Grow by the recipe with other values of `growth`."""
    recipe = contest.recipe.changed({f"growth.{key}": value for key, value in changes.items()})
    ready = replace(contest.ready, recipe=recipe)
    notes: list[str] = []
    grower = Assembly(ready, contest.folder, contest.watch).grower()
    return delivered(grower, notes)


def delivered(grower: Grower, notes: list[str]) -> Delivered:
    """Run the loop to its end."""
    grower.run()
    bill = grower.compute.as_dict()
    bill.pop("total")
    return Delivered(
        model=grower.state.model,
        graph=grower.state.graph,
        bill=bill,
        seconds=dict(grower.seconds),
        notes=tuple(notes),
    )


def criterion_refused(option: str | None) -> str | None:
    """Why this criterion cannot be taken."""
    from easearch.scoring import CRITERIA

    if option is None or option in CRITERIA:
        return None
    return f"expected a criterion behind the colon, got '{option}'; {nearest(option, CRITERIA)}"


GROW = Arm(run=run, about="grown by the recipe", refusal=criterion_refused)
SHUFFLED = Arm(run=shuffled, about="grown by the recipe, the gains dealt out at random: a placebo")
RANDOM = Arm(run=random, about="grown by the recipe, random directions and gains: a placebo")

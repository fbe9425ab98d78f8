"""Which defaults of a recipe were measured, what came out, and in which report it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from easearch.recipe.recipe import Recipe, points_of
from easearch.recipe.schema import is_part


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a default rests on."""

    claim: str
    """What was measured, with its number, where, and how sure that is: no full stop."""
    report: str
    """A file under `reports/`."""


MEASURED: Mapping[str, Ground] = {
    "growth.criterion": Ground(
        claim="new neurons as they are born, from a seed that is clearly too small, were 0.9 "
        "points ahead of uniform widths at their best rate (+0.4 to +1.5, CIFAR-10, five seeds) "
        "and 1.1 of growing by newborns that nobody reads yet, without a score (+0.9 to +1.4)",
        report="reports/growth-study/README.md",
    ),
    "growth.at": Ground(
        claim="each size on twice the compute of the one before, the last growth at 0.35, was 0.9 "
        "points ahead of uniform widths at their best rate from a seed that is clearly too small "
        "(+0.4 to +1.5, CIFAR-10, five seeds), where as much compute to every size lost 0.4 and "
        "1.5 points to it on validation (two seeds, which claim nothing); where the seed is hardly "
        "too small the two are level, and so are uniform widths (-0.1, -0.7 to +0.5, Fashion-MNIST "
        "of 10,000 pictures, five seeds)",
        report="reports/growth-study/README.md",
    ),
    "training.rate": Ground(
        claim="of 0.05, 0.1, 0.2 and 0.4, at 64 images a step, 0.2 was best for uniform widths at "
        "one limit (CIFAR-10, on validation, one seed, which claims nothing); growing early at "
        "this rate was ahead of growing late at 0.1, 0.2 and 0.4 (likewise; at a second seed, of "
        "0.1 and 0.2)",
        report="reports/growth-study/README.md",
    ),
    "training.hold": Ground(
        claim="held for 0.6 of the compute, networks from scratch were 0.5 to 1.8 points ahead of "
        "one cosine from the warm-up on at rates that suit them (CIFAR-10, on validation, one "
        "seed, which claims nothing)",
        report="reports/growth-study/README.md",
    ),
    "growth.even": Ground(
        claim="with floors at the uniform widths the same births lost less in every try; widths by "
        "gains alone starve late layers",
        report="reports/growth-study/README.md",
    ),
    "front.smaller": Ground(
        claim="four networks cut from one trunk by what its channels are worth, at equal compute, "
        "five seeds, CIFAR-10: 12.8 points ahead of networks from scratch (+11.4 to +14.6), 4.9 "
        "ahead of slicing (+4.4 to +5.4) and 4.2 of pruning (+3.6 to +5.0), each at its best rate; "
        "5.9 ahead of cuts by chance (+5.3 to +6.5) and 0.9 of branches of each size (+0.6 to "
        "+1.0); on Fashion-MNIST 2.4, 1.3 of slicing, "
        "1.4 of pruning at the recipes' rate and 2.0 of chance",
        report="reports/growth-study/README.md",
    ),
    "front.start": Ground(
        claim="a trunk that grows from the seed, as much compute to each of its sizes, was 6.7 "
        "points ahead of one that begins at its largest on CIFAR-10 (+5.7 to +7.9, five seeds), "
        "at equal multiply-adds and half as much time again",
        report="reports/growth-study/README.md",
    ),
    "front.trunk": Ground(
        claim="0.8 of the compute was 0.6 points ahead of 0.9 and 0.8 behind 0.7 on CIFAR-10, on "
        "validation (one seed, which claims nothing)",
        report="reports/growth-study/README.md",
    ),
    "front.shares": Ground(
        claim="as much to each branch was 1.3 points ahead of shares by multiply-adds on CIFAR-10, "
        "on validation, most of it at the smallest limit (one seed, which claims nothing)",
        report="reports/growth-study/README.md",
    ),
    "growth.selector": Ground(
        claim="keeps every limit of the random instances, at 0.009 % or less below the best plan; "
        "the relaxation as published exceeds a limit in 41 % of them",
        report="reports/selection/README.md",
    ),
}
"""Dotted field -> what its default rests on. A field that is not here rests on no measurement."""

_ONE_LIMIT = {
    "growth.stages",
    "growth.at",
    "growth.criterion",
    "training.rate",
    "training.hold",
}


def grounds(values: Mapping[str, Any]) -> dict[str, Ground]:
    """What the defaults that a recipe left as they are rest on, field by field.

    Args:
        values: a resolved recipe, as its file has it. A field that is not in it is not looked at,
            nor one that says nothing here: `front.*` with one limit, a criterion measured at one
            limit with several.
    """
    several = points_of(values) > 1
    return {
        dotted: ground
        for dotted, ground in MEASURED.items()
        if not (dotted in _ONE_LIMIT if several else dotted.startswith("front."))
        and _is_default(values, dotted)
    }


def default_of(dotted: str) -> Any:
    """The default of a field that has one, as a file would hold it."""
    *sections, last = dotted.split(".")
    now: Any = Recipe
    for key in sections:
        now = now.model_fields[key].annotation
        if not is_part(now):
            raise KeyError(f"{dotted}: {key} is no section of a recipe")
    return to_jsonable_python(now.model_fields[last].get_default(call_default_factory=True))


def _is_default(values: Mapping[str, Any], dotted: str) -> bool:
    now: Any = values
    for key in dotted.split("."):
        if not isinstance(now, Mapping) or key not in now:
            return False
        now = now[key]
    return bool(now == default_of(dotted))

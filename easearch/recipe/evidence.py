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
        claim="new neurons with even floors, grown early, at one limit, Fashion-MNIST: level with "
        "uniform widths (-0.4 to +0.3 points, five seeds), where splits were 0.6 behind",
        report="reports/growth-study/README.md",
    ),
    "growth.at": Ground(
        claim="new neurons that came at 0.2 and 0.4 of the compute were 3.6 points ahead of "
        "uniform widths on CIFAR-10 and 0.1 behind on Fashion-MNIST, on validation (one seed, "
        "which claims nothing); in a front late growth was 6.7 points ahead (five seeds)",
        report="reports/growth-study/README.md",
    ),
    "growth.even": Ground(
        claim="with floors at the uniform widths the same births lost less in every try; widths by "
        "gains alone starve late layers",
        report="reports/growth-study/README.md",
    ),
    "front.smaller": Ground(
        claim="four networks cut from one trunk by what its channels are worth, at equal compute, "
        "five seeds, CIFAR-10: 20.3 points ahead of networks from scratch (+19.2 to +21.3), 7.6 "
        "ahead of slicing (+6.5 to +8.6), 7.2 of pruning (+6.3 to +8.2), 5.9 of cuts by chance "
        "(+5.3 to +6.5), 0.9 of branches of each size (+0.6 to +1.0); on Fashion-MNIST 3.9, 1.4 of "
        "slicing and 2.0 of chance",
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

_ONE_LIMIT = {"growth.stages", "growth.at", "growth.criterion"}


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

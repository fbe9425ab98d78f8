"""A whole recipe: loaded, changed and dumped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from easearch.errors import RecipeError, nearest, shown
from easearch.recipe.choice import Choice
from easearch.recipe.limits import BudgetPart, FrontPart, check_front
from easearch.recipe.parts import (
    DataPart,
    GrowthPart,
    ModelPart,
    TrainingPart,
    seed_arguments,
)
from easearch.recipe.reading import gathered, put
from easearch.recipe.schema import default_at
from easearch.recipe.scored import name_and_options, options_of
from easearch.recipe.section import Name, Part, Place, Whole, fault
from easearch.recipe.sentences import sentence

FRONTS_BY = "unscored"
"""The criterion of a front that names none: in reports/growth-study no score was ahead of it."""
SEEDS = 2**32
"""What comes from a seed, such as that of an epoch, must still be one to torch and NumPy."""


def points_of(values: Mapping[str, Any]) -> int:
    """Limits of a recipe as its file has it: how many networks the run delivers."""
    budget = values.get("budget")
    limits = budget.get("limits") if isinstance(budget, Mapping) else None
    lists = limits.values() if isinstance(limits, Mapping) else ()
    return max((len(one) for one in lists if isinstance(one, list | tuple)), default=1)


def _threads(count: int) -> int:
    from easearch.budget.devices.host import most_threads

    if count > most_threads():
        raise fault(f"expected {most_threads()} threads at most on this host, got {shown(count)}")
    return count


class Recipe(Part):
    """One run, wholly described: the same recipe and seed give the same network on a host."""

    name: Name = Field(description="name of the run; from a file: by default its own")
    seed: Whole = Field(
        default=0, ge=0, lt=SEEDS, description="of weights, held-out images, batches"
    )
    data: DataPart = Field(description="pictures to learn from")
    model: ModelPart = Field(description="seed network")
    budget: BudgetPart = Field(description="limits on a device")
    growth: GrowthPart = Field(default_factory=GrowthPart, description="when and how to grow")
    training: TrainingPart = Field(description="schedule of the training")
    front: FrontPart = Field(
        default_factory=FrontPart, description="compute of a run of several limits"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to train; auto: CUDA where there is one"
    )
    threads: Annotated[Whole, AfterValidator(_threads)] | None = Field(
        default=None, ge=1, description="CPU threads; None: torch's choice"
    )
    sweep: dict[str, Choice] = Field(
        default_factory=dict,
        max_length=100,
        description="dotted field -> what a sweep may choose for it",
    )
    evidence: Place | None = Field(
        default=None, description="file of baselines for the report, relative to the recipe"
    )

    @property
    def wide(self) -> bool:
        """Whether the run is a front whose trunk begins at its largest size, with fresh weights."""
        return len(self.budget.points) > 1 and self.front.start == "largest"

    @model_validator(mode="before")
    @classmethod
    def _fronts_grow_unscored(cls, said: Any) -> Any:
        """A front whose recipe names no criterion is grown by the one that did best for fronts."""
        if not isinstance(said, dict) or points_of(said) == 1:
            return said
        growth = said.get("growth", {})
        if not isinstance(growth, dict) or "criterion" in growth:
            return said
        return {**said, "growth": {**growth, "criterion": FRONTS_BY}}

    @model_validator(mode="after")
    def _check_front(self) -> Self:
        check_front(self.front, self.budget.points)
        return self

    @model_validator(mode="after")
    def _check_sweep(self) -> Self:
        for dotted in self.sweep:
            _check_field(self, dotted)
        return self

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """Read a YAML file and what it `extends`, put the overrides in, validate.

        Raises `RecipeError` for whatever is wrong, as one sentence.
        """
        file = Path(path)
        values = gathered(file)
        for dotted, value in (overrides or {}).items():
            _put(values, dotted, value, str(file))
        return _validated(values, str(file))

    def changed(self, overrides: Mapping[str, Any]) -> Recipe:
        """The recipe with other values at dotted paths: `{"growth.stages.0": 0.4}`."""
        values = self.model_dump(mode="json")
        for dotted, value in overrides.items():
            _put(values, dotted, value, self.name)
        return _validated(values, self.name)

    def dump(self, folder: str | Path | None = None) -> str:
        """The recipe as YAML, nothing left to defaults; it loads back to an equal recipe.

        `folder` is where the text will stand: `evidence` is then written relative to it.
        """
        values = self.model_dump(mode="json")
        if folder is not None and self.evidence is not None:
            values["evidence"] = Path(os.path.relpath(self.evidence, folder)).as_posix()
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _put(values: dict[str, Any], dotted: str, value: Any, source: str) -> None:
    put(values, dotted, value, default=partial(default_at, Recipe), source=source)


def _validated(values: dict[str, Any], source: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{source}: {sentence(Recipe, error, values)}") from None


def _check_field(recipe: Recipe, dotted: str) -> None:
    """Refuse a sweep over a field that the recipe does not have."""
    values = recipe.model_dump(mode="json", exclude={"name", "sweep", "evidence"})
    # what a seed can take is a field too, be it stated or not
    if not recipe.model.own:
        values["model"]["arguments"] = dict.fromkeys(seed_arguments(recipe.model.name))
    elif dotted.startswith("model.arguments."):  # what a user's factory can take is not known yet
        return
    if dotted.startswith("growth.criterion."):
        name, _ = name_and_options(recipe.growth.criterion)
        values["growth"]["criterion"] = dict.fromkeys(["name", *options_of(name)])
    now: Any = values
    for key in dotted.split("."):
        names = [str(i) for i in range(len(now))] if isinstance(now, list) else now
        if not isinstance(names, dict | list) or key not in names:
            known = nearest(key, names if isinstance(names, dict | list) else ())
            raise fault(f"there is no such field to sweep; {known}", f"sweep.{dotted}")
        now = now[int(key)] if isinstance(now, list) else now[key]

"""The sections of a recipe: every field with its default, its range and what it means."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, field_validator, model_validator

from easearch.errors import BudgetError, reason_of, shown
from easearch.factories import FORM, is_import_path
from easearch.recipe.scored import checked_criterion, name_and_options, offers_layers
from easearch.recipe.section import Number, Part, Place, Whole, fault, increasing, known
from easearch.roles import Range

WIDEST = 2**20
"""Channels of a group."""
FARTHEST = 1000
"""Times the step, in a line search."""


class DataPart(Part):
    """Which pictures the network learns from."""

    name: str = Field(description="data set, a name in `easearch.data.DATASETS`")
    root: Place | None = Field(
        default=None, description="folder of the files; None: $EASEARCH_DATA, else `data`"
    )
    validation: Number = Field(
        default=0.1, gt=0, lt=1, description="share of every class held out of train: a tenth"
    )
    download: bool = Field(
        default=False, description="fetch missing files; off, so that nothing is fetched unasked"
    )
    size: Whole | None = Field(
        default=None, ge=1, le=4096, description="pixels a side; None: as the data set has them"
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 grey, 3 colour; None: the data set's own"
    )
    images: Whole | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="training images to make do with, those held out among them: drawn class by "
        "class, the same for every seed. None: all",
    )

    skip_corrupt: bool = Field(
        default=False,
        description="leave out pictures of a folder that cannot be read, a tenth of them at most; "
        "off, so that nothing is left out unasked",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        from easearch.data import DATASETS

        return known("data set", name, DATASETS)


class ModelPart(Part):
    """The seed from which growing starts."""

    name: str = Field(
        description="seed, a name in `easearch.models.SEEDS`, or `package.module:factory`, a "
        "function of the user's that returns an nn.Module; it is imported when the run begins"
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the seed; others keep its defaults"
    )

    @property
    def own(self) -> bool:
        """Whether the seed is the user's own: nothing is known of it before it is imported."""
        return ":" in self.name

    @model_validator(mode="after")
    def _check_build(self) -> Self:
        import torch

        from easearch.models import SEEDS, build

        if self.own:
            if not is_import_path(self.name):
                raise fault(f"expected {FORM}, got {shown(self.name)}", "name")
            return self
        known("model", self.name, SEEDS, "name")
        for argument in self.arguments:
            names = seed_arguments(self.name)
            known(f"argument of {self.name}", argument, names, f"arguments.{argument}")
        try:
            with torch.device("meta"):  # neither memory nor random numbers are spent on a check
                build(self.name, **self.arguments)
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise fault(reason_of(error), "arguments") from None
        return self


class WidthsPart(Part):
    """How wide a channel group may be: `{min: 32, max: 64}`, or `locked`."""

    min: Whole | None = Field(
        default=None, ge=1, le=WIDEST, description="channels at least; None: no floor"
    )
    max: Whole | None = Field(
        default=None, ge=1, le=WIDEST, description="channels at most; None: no ceiling"
    )
    locked: bool = Field(default=False, description="the width stays what it is")

    @model_validator(mode="before")
    @classmethod
    def _read_word(cls, said: Any) -> Any:
        if isinstance(said, dict | WidthsPart):
            return said
        if said == "locked":
            return {"locked": True}
        raise fault(f"expected {{min: 32, max: 64}} or locked, got {shown(said)}")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        try:
            Range(low=self.min, high=self.max, fixed=self.locked)
        except BudgetError as error:
            raise fault(str(error)) from None
        return self

    @property
    def range(self) -> Range:
        """The same as a selector takes it."""
        return Range(low=self.min, high=self.max, fixed=self.locked)


def _images(said: Any) -> Any:
    whole = isinstance(said, int) and not isinstance(said, bool)
    if said == "auto" or (whole and 2 <= said <= 10**9):
        return said
    raise fault(f"expected a whole number of images, 2 to 10**9, or auto, got {shown(said)}")


class GrowthPart(Part):
    """When the network grows, how far, and by which rules."""

    criterion: Annotated[str | dict[str, Any], PlainValidator(checked_criterion)] = Field(
        default="births",
        description="scores channels; `births`, new neurons, does best in reports/growth-study, "
        "`unit` predicts best. With options of its own: `{name: unit, c: 3.0}`. Of a front that "
        "names none it is `unscored`",
    )
    selector: str = Field(default="exact", description="chooses among them; `exact` proves it")
    stages: tuple[Number, ...] = Field(
        default=(0.25, 0.6, 1.0),
        min_length=1,
        max_length=64,
        description="how far each growth goes: fractions of the way from the seed's cost to the "
        "limit, increasing, the last 1.0",
    )
    at: tuple[Number, ...] | None = Field(
        default=None,
        max_length=64,
        description="when each growth happens: shares of the compute, increasing. None: every size "
        "takes twice the compute of the one before, until the last growth at 0.35. Splits want to "
        "come early: late ones stay twins of their parents",
    )
    images: Annotated[int | Literal["auto"], BeforeValidator(_images)] = Field(
        default=1024,
        description="training images that score channels; more are better and slower: directions "
        "found on few of them are noise. auto: as many as it takes for them not to be",
    )
    even: Number = Field(
        default=1.0,
        ge=0,
        le=1,
        description="floor of every group, from the seed's width (0) to that of the uniform "
        "network within the same limits (1): the criterion chooses where what is left goes",
    )
    layers: Whole = Field(
        default=0,
        ge=0,
        le=100,
        description="new layers a growth at most, of a criterion that finds some",
    )
    step: Number = Field(
        default=0.05, gt=0, le=10, description="displacement of an offspring over its parent's norm"
    )
    line_search: tuple[Number, ...] = Field(
        default=(4.0, 2.0, 1.0, 0.5, 0.25),
        min_length=1,
        max_length=64,
        description="factors of the step tried on the measured loss: gains do not add up",
    )
    width_step: Whole | None = Field(
        default=None,
        gt=0,
        le=1024,
        multiple_of=4,
        description="grid of widths; None: the device's, by measuring",
    )
    widths: dict[str, WidthsPart] = Field(
        default_factory=dict,
        max_length=10_000,
        description="channel group or pattern (`features.3.*`) -> `{min: 32, max: 64}` or "
        "`locked`; of several that match, later ones count. Floors hold after the last growth",
    )

    @field_validator("selector")
    @classmethod
    def _check_selector(cls, name: str) -> str:
        from easearch.selection import SELECTORS

        return known("selector", name, SELECTORS)

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        from easearch.scoring import CRITERIA

        name, _ = name_and_options(self.criterion)
        if self.layers and not offers_layers(name):
            able = [one for one in CRITERIA if offers_layers(one)]
            told = f"say criterion: {able[0]}" if able else "leave it out"
            raise fault(f"the criterion '{name}' finds no new layers; {told}", "layers")
        return self

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if not increasing(self.stages) or self.stages[0] <= 0 or self.stages[-1] != 1.0:
            wanted = "expected increasing fractions above 0 that end in 1.0"
            raise fault(f"{wanted}, got {shown(self.stages)}", "stages")
        self._check_moments()
        if not all(0 < factor <= FARTHEST for factor in self.line_search):
            got = f"got {shown(self.line_search)}; 0 is always tried"
            raise fault(f"expected factors above 0, {FARTHEST} at most, {got}", "line_search")
        return self

    def _check_moments(self) -> None:
        if self.at is None:
            return
        if not increasing(self.at) or not all(0 < moment < 1 for moment in self.at):
            raise fault(
                f"expected increasing fractions between 0 and 1, got {shown(self.at)}", "at"
            )
        if len(self.at) != len(self.stages):
            wanted = f"expected {len(self.stages)} moments, one a stage"
            raise fault(f"{wanted}, got {shown(self.at)}", "at")


class TrainingPart(Part):
    """One schedule for the whole run: a constant rate, past the last growth, then one cosine."""

    epochs: Whole = Field(
        ge=1,
        le=10**6,
        description="passes over the training images that the uniform network within the largest "
        "limits makes for the compute of the whole run; smaller networks make more in an epoch",
    )
    compute: Number | None = Field(
        default=None,
        gt=0,
        le=1e30,
        description="multiply-adds of the whole run, scoring and searching too, of which epochs "
        "are shares. None: what those passes take",
    )
    batch_size: Whole = Field(default=64, ge=1, le=2**20, description="images a step")
    rate: Number = Field(
        default=0.2,
        gt=0,
        le=1e6,
        description="highest rate; fits 64 images a step. Fronts, whose trunk makes many steps, "
        "want half of it",
    )
    momentum: Number = Field(default=0.9, ge=0, lt=1, description="Nesterov momentum; the usual")
    weight_decay: Number = Field(
        default=5e-4,
        ge=0,
        le=1e3,
        description="L2 factor; the usual for small pictures from scratch",
    )
    label_smoothing: Number = Field(default=0.0, ge=0, lt=1, description="share of a label spread")
    warmup: Number = Field(
        default=1.0, ge=0, le=10**6, description="epochs of linear rise to `rate`"
    )
    hold: Number = Field(
        default=0.6,
        ge=0,
        lt=1,
        description="share of the compute before which the rate does not fall, nor before the last "
        "growth; then one cosine. A front's branches are annealed from where they leave the trunk",
    )
    pad: Whole = Field(
        default=2, ge=0, le=1024, description="pixels of random shift; suits 28 a side"
    )
    flip: bool = Field(default=True, description="mirror half of them; off for digits")


def seed_arguments(name: str) -> tuple[str, ...]:
    """The arguments that the seed `name` takes."""
    from easearch.models import SEEDS

    return tuple(inspect.signature(SEEDS[name]).parameters)

"""The recipe: everything that one run needs, as validated data, and how a YAML file becomes one.

Whatever is wrong with a file comes out as one `RecipeError` sentence: the file, the dotted path of
the key, what was expected, what came, and the nearest known name.
"""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from easearch.errors import BudgetError, EasearchError, RecipeError, nearest


def _fault(what: str, place: str = "") -> PydanticCustomError:
    """A fault of a section; `place` is the dotted path inside it."""
    return PydanticCustomError("easearch", "{what}", {"what": what, "place": place})


def _known(kind: str, name: str, names: Iterable[str], place: str = "") -> str:
    known = list(names)
    if name not in known:
        raise _fault(f"unknown {kind} '{name}'; {nearest(name, known)}", place)
    return name


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise _fault(f"expected a number, got {str(value).lower()}")
    return value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, BeforeValidator(_no_bool)]
"""Not strict: YAML 1.1 reads `1e-3` as text."""
Limit = Annotated[float | int | str, BeforeValidator(_no_bool)]


class Part(BaseModel):
    """A section of a recipe: frozen, and no key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataPart(Part):
    """Which pictures the network learns from."""

    name: str = Field(description="data set, a name in `easearch.data.DATASETS`")
    root: str | None = Field(
        default=None, description="folder of the files; None: $EASEARCH_DATA, else `data`"
    )
    validation: Number = Field(
        default=0.1, gt=0, lt=1, description="share of every class held out of train: a tenth"
    )
    download: bool = Field(
        default=False, description="fetch missing files; off, so that nothing is fetched unasked"
    )
    size: Whole | None = Field(
        default=None, ge=1, description="pixels a side; None: as the data set has them"
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 grey, 3 colour; None: the data set's own"
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        from easearch.data import DATASETS

        return _known("data set", name, DATASETS)


class ModelPart(Part):
    """The seed from which growing starts."""

    name: str = Field(description="seed, a name in `easearch.models.SEEDS`")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the seed; others keep its defaults"
    )

    @model_validator(mode="after")
    def _check_build(self) -> Self:
        import torch

        from easearch.models import SEEDS, build

        _known("model", self.name, SEEDS, "name")
        for argument in self.arguments:
            names = seed_arguments(self.name)
            _known(f"argument of {self.name}", argument, names, f"arguments.{argument}")
        try:
            with torch.device("meta"):  # neither memory nor random numbers are spent on a check
                build(self.name, **self.arguments)
        except (ValueError, TypeError) as error:
            raise _fault(str(error), "arguments") from None
        return self


class BudgetPart(Part):
    """What the grown network may cost, and where."""

    device: str = Field(default="host", description="where they hold; `host`: this machine")
    limits: dict[str, Limit] = Field(
        min_length=1,
        description="meter -> hard limit: `latency_ms: 0.4`, `latency: '0.4 ms'`, or relative to "
        "the seed, `latency: '2.5x'`, so that the recipe runs on any host",
    )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        from easearch.budget import Budget
        from easearch.budget.devices import check_device

        try:
            check_device(self.device)
        except EasearchError as error:
            raise _fault(str(error), "device") from None
        for key, limit in self.limits.items():
            try:
                Budget({key: limit}, device=self.device)
            except BudgetError as error:
                raise _fault(str(error).removeprefix(f"{key}: "), f"limits.{key}") from None
        try:
            Budget(self.limits, device=self.device)
        except BudgetError as error:
            raise _fault(str(error), "limits") from None
        return self


class GrowthPart(Part):
    """When the network grows, how far, and by which rules."""

    criterion: str = Field(default="unit", description="scores channels; `unit` predicts best")
    selector: str = Field(default="exact", description="chooses among them; `exact` proves it")
    stages: tuple[Number, ...] = Field(
        default=(0.33, 0.67, 1.0),
        min_length=1,
        description="how far each growth goes: fractions of the way from the seed's cost to the "
        "limit, increasing, the last 1.0",
    )
    at: tuple[Number, ...] = Field(
        default=(0.1, 0.2, 0.3),
        description="when each growth happens: fractions of the epochs, increasing; done by 0.4, "
        "because channels that come late stay twins of their parents",
    )
    images: Whole = Field(
        default=1024, ge=1, description="training images that score channels; more rank no better"
    )
    step: Number = Field(
        default=0.05, gt=0, description="displacement of an offspring over its parent's norm"
    )
    line_search: tuple[Number, ...] = Field(
        default=(4.0, 2.0, 1.0, 0.5, 0.25),
        min_length=1,
        description="factors of the step tried on the measured loss: gains do not add up",
    )
    width_step: Whole | None = Field(
        default=None,
        gt=0,
        multiple_of=4,
        description="grid of widths; None: the device's, by measuring",
    )

    @field_validator("criterion", "selector")
    @classmethod
    def _check_name(cls, name: str, info: Any) -> str:
        if info.field_name == "criterion":
            from easearch.scoring import CRITERIA

            return _known("criterion", name, CRITERIA)
        from easearch.selection import SELECTORS

        return _known("selector", name, SELECTORS)

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if not _increasing(self.stages) or self.stages[0] <= 0 or self.stages[-1] != 1.0:
            wanted = "expected increasing fractions above 0 that end in 1.0"
            raise _fault(f"{wanted}, got {list(self.stages)}", "stages")
        if not _increasing(self.at) or not all(0 < moment < 1 for moment in self.at):
            raise _fault(
                f"expected increasing fractions between 0 and 1, got {list(self.at)}", "at"
            )
        if len(self.at) != len(self.stages):
            wanted = f"expected {len(self.stages)} moments, one a stage"
            raise _fault(f"{wanted}, got {list(self.at)}", "at")
        if min(self.line_search) <= 0:
            raise _fault(
                f"expected factors above 0, got {list(self.line_search)}; 0 is always tried",
                "line_search",
            )
        return self


class TrainingPart(Part):
    """One schedule for the whole run: a constant rate until the last growth, then one cosine."""

    epochs: Whole = Field(ge=1, description="passes over the training images in the whole run")
    batch_size: Whole = Field(default=128, ge=1, description="images a step")
    rate: Number = Field(default=0.1, gt=0, description="highest rate; fits 128 images a step")
    momentum: Number = Field(default=0.9, ge=0, lt=1, description="Nesterov momentum; the usual")
    weight_decay: Number = Field(
        default=5e-4, ge=0, description="L2 factor; the usual for small pictures from scratch"
    )
    label_smoothing: Number = Field(default=0.0, ge=0, lt=1, description="share of a label spread")
    warmup: Number = Field(default=1.0, ge=0, description="epochs of linear rise to `rate`")
    pad: Whole = Field(default=2, ge=0, description="pixels of random shift; suits 28 a side")
    flip: bool = Field(default=True, description="mirror half of them; off for digits")


class Choice(Part):
    """What a sweep may choose for one field: a range (`low`, `high`) or a list (`choices`)."""

    low: int | float | None = Field(
        default=None, description="least value; whole ends sample whole"
    )
    high: int | float | None = Field(default=None, description="greatest value")
    log: bool = Field(default=False, description="sample in the logarithm: for rates and decays")
    step: int | float | None = Field(
        default=None, gt=0, description="grid of the range; None: none"
    )
    choices: tuple[Any, ...] = Field(default=(), description="values, in place of a range")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        ends = (self.low, self.high)
        if self.choices:
            if ends != (None, None) or self.step is not None or self.log:
                raise _fault("expected a range (low, high) or choices, got both")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise _fault(f"expected choices, or low below high, got low {ends[0]}, high {ends[1]}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise _fault("expected low above 0 and no step, because log is true", "log")
        return self


class Recipe(Part):
    """One run, wholly described: the same recipe and seed give the same network on a host."""

    name: str = Field(min_length=1, description="name of the run; from a file: by default its own")
    seed: Whole = Field(default=0, ge=0, description="of weights, held-out images, batches")
    data: DataPart = Field(description="pictures to learn from")
    model: ModelPart = Field(description="seed network")
    budget: BudgetPart = Field(description="limits on a device")
    growth: GrowthPart = Field(default_factory=GrowthPart, description="when and how to grow")
    training: TrainingPart = Field(description="schedule of the training")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to train; auto: CUDA where there is one"
    )
    threads: Whole | None = Field(
        default=None, ge=1, description="CPU threads; None: torch's choice"
    )
    sweep: dict[str, Choice] = Field(
        default_factory=dict, description="dotted field -> what a sweep may choose for it"
    )
    evidence: str | None = Field(
        default=None, description="file of baselines for the report, relative to the recipe"
    )

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
        values = _gathered(file)
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


def seed_arguments(name: str) -> tuple[str, ...]:
    """The arguments that the seed `name` takes."""
    from easearch.models import SEEDS

    return tuple(inspect.signature(SEEDS[name]).parameters)


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """Turn `["training.epochs=2"]` into `{"training.epochs": 2}`; values are YAML."""
    found: dict[str, Any] = {}
    for word in words:
        dotted, equals, text = word.partition("=")
        if not equals or not dotted.strip():
            raise RecipeError(f"expected field=value, got '{word}'; say for example seed=1")
        try:
            found[dotted.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(f"{dotted.strip()}: expected a YAML value, got '{text}'") from None
    return found


def _increasing(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


# ---- from files to values


def _gathered(file: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a file, laid over those of the file that it extends."""
    if file.resolve() in above:
        raise RecipeError(f"{file}: extends: a loop, it extends itself through {above[-1].name}")
    values = _parsed(file)
    base = values.pop("extends", None)
    # a variant that says no name would otherwise go under its base's
    values.setdefault("name", file.stem)
    if isinstance(values.get("evidence"), str):
        values["evidence"] = str(_existing(file.parent / values["evidence"], f"{file}: evidence"))
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"{file}: extends: expected the path of one recipe, got {base!r}")
    _existing(file.parent / base, f"{file}: extends")
    return _laid_over(_gathered(file.parent / base, (*above, file.resolve())), values)


def _parsed(file: Path) -> dict[str, Any]:
    _existing(file, "", what="recipe")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{file}: line {line}: not valid YAML, {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{file}: expected a YAML file in UTF-8, got {error}") from None
    if not isinstance(values, dict):
        kind = "nothing" if values is None else f"a {type(values).__name__}"
        raise RecipeError(f"{file}: expected keys with values, such as `seed: 0`, got {kind}")
    return {str(key): value for key, value in values.items()}


def _existing(file: Path, where: str, what: str = "file") -> Path:
    if file.is_file():
        return file.resolve()
    before = f"{where}: " if where else ""
    if not file.parent.is_dir():
        raise RecipeError(f"{before}no {what} at {file}; there is no folder {file.parent}")
    there = [p.name for p in file.parent.iterdir() if p.suffix in {file.suffix, ".yaml", ".yml"}]
    raise RecipeError(f"{before}no {what} at {file}; {nearest(file.name, there)}")


def _laid_over(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge, everything else is replaced; null takes away what the base says."""
    result = dict(base)
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            result[key] = _laid_over(base[key], value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _put(values: dict[str, Any], dotted: str, value: Any, source: str) -> None:
    """Set the value at a dotted path; sections that are left to their defaults come to stand."""
    keys, now = dotted.split("."), values
    for done, key in enumerate(keys[:-1], start=1):
        slot = _slot(now, key, dotted, source)
        if isinstance(now, dict) and now.get(key) is None:
            now[key] = _default_at(keys[:done])
        now = now[slot]
    now[_slot(now, keys[-1], dotted, source)] = copy.deepcopy(value)


def _slot(now: Any, key: str, dotted: str, source: str) -> Any:
    if isinstance(now, dict):
        return key
    if not isinstance(now, list):
        raise RecipeError(f"{source}: {dotted}: there is no '{key}' in the value {now!r}")
    if not key.isdecimal() or int(key) >= len(now):
        wanted = f"expected an index from 0 to {len(now) - 1}"
        raise RecipeError(f"{source}: {dotted}: {wanted}, got '{key}'")
    return int(key)


# ---- from values to a recipe, or to one sentence


def _validated(values: dict[str, Any], source: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        # a mistyped key is a missing one too: the typing error is what the user made
        found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        raise RecipeError(f"{source}: {_sentence(found[0], values)}") from None


def _sentence(error: ErrorDetails, values: Any) -> str:
    keys, now = [], values
    for key in error["loc"]:
        # pydantic appends the tried member of a union; a value without keys ends the real path
        if not isinstance(now, dict | list):
            break
        keys.append(str(key))
        now = now.get(key) if isinstance(now, dict) else _item(now, key)
    inner = error.get("ctx", {}).get("place", "")
    place = ".".join([*keys, inner] if inner else keys)
    return f"{place}: {_reason(error, keys)}" if place else _reason(error, keys)


def _item(values: list[Any], index: int | str) -> Any:
    return values[index] if isinstance(index, int) and index < len(values) else None


def _reason(error: ErrorDetails, keys: Sequence[str]) -> str:
    kind, got = error["type"], error["input"]
    section = _annotation(keys[:-1])
    fields = section.model_fields if _is_part(section) else {}
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(keys[-1], fields)}"
    if kind == "missing":
        return f"missing; expected the {fields[keys[-1]].description}"
    if kind == "easearch":
        return error["msg"]
    if kind == "literal_error":
        return f"expected {error['ctx']['expected']}, got {got!r}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"expected keys with values, got {got!r}"
    if kind in {"tuple_type", "list_type"}:
        return f"expected a list, such as [0.5, 1.0], got {got!r}"
    wanted = error["msg"].removeprefix("Input should be ").partition(", ")[0]
    if wanted.startswith(("greater", "less", "finite")):
        wanted = f"a value {wanted}"
    return f"expected {wanted[0].lower()}{wanted[1:]}, got {got!r}"


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)


def _annotation(keys: Sequence[str]) -> Any:
    """The type that the recipe gives to the field at a path; None where it has none."""
    now: Any = Recipe
    for key in keys:
        if _is_part(now):
            field = now.model_fields.get(key)
            now = field.annotation if field else None
        else:
            now = (get_args(now) or (None,))[-1]
    return now


def _default_at(keys: Sequence[str]) -> Any:
    section = _annotation(keys[:-1])
    field = section.model_fields.get(keys[-1]) if _is_part(section) else None
    default = getattr(field, "default", None)
    return list(default) if isinstance(default, tuple) else {}


def _check_field(recipe: Recipe, dotted: str) -> None:
    """Refuse a sweep over a field that the recipe does not have."""
    values = recipe.model_dump(mode="json", exclude={"name", "sweep", "evidence"})
    # what a seed can take is a field too, be it stated or not
    values["model"]["arguments"] = dict.fromkeys(seed_arguments(recipe.model.name))
    now: Any = values
    for key in dotted.split("."):
        names = [str(i) for i in range(len(now))] if isinstance(now, list) else now
        if not isinstance(names, dict | list) or key not in names:
            known = nearest(key, names if isinstance(names, dict | list) else ())
            raise _fault(f"there is no such field to sweep; {known}", f"sweep.{dotted}")
        now = now[int(key)] if isinstance(now, list) else now[key]

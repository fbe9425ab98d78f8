"""Recipes: what is wrong is one sentence with the path of the key; what is right round-trips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from easearch.errors import RecipeError
from easearch.recipe import GrowthPart, Recipe, built_criterion, parse_overrides
from easearch.recipe.scored import options_of
from easearch.roles import Range
from easearch.scoring import CRITERIA

RECIPES = Path(__file__).parent.parent / "recipes"
BUDGETS = Path(__file__).parent.parent / "budgets"
QUICKSTART = RECIPES / "quickstart.yaml"
BASE: dict[str, Any] = {
    "data": {"name": "fashion-mnist-mini"},
    "model": {"name": "mobilenet_v1", "arguments": {"layout": [[8, 1, 1]], "stem_channels": 8}},
    "budget": {"limits": {"macs": "2x"}},
    "growth": {"criterion": "unit", "stages": [0.4, 1.0], "at": [0.1, 0.2]},
    "training": {"epochs": 4},
}


def write(folder: Path, name: str = "tiny.yaml", **changes: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump({**BASE, **changes}))
    return path


def refused(path: Path, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path, overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(str(path))
    return sentence


@pytest.mark.parametrize(
    ("dotted", "value", "said"),
    [
        ("data.images", 0, ["data.images: expected a value greater than or equal to 1, got 0"]),
        ("data.images", 0.5, ["data.images: expected a valid integer", "got 0.5"]),
        ("trainng.epochs", 4, ["trainng: unknown key", "did you mean 'training'?"]),
        ("training.epoch", 4, ["training.epoch: unknown key", "did you mean 'epochs'?"]),
        ("training.epochs", "many", ["training.epochs: expected a valid integer, got 'many'"]),
        ("training.epochs", 2.5, ["training.epochs: expected a valid integer", "got 2.5"]),
        ("training.epochs", 0, ["training.epochs: expected a value greater than or equal to 1"]),
        ("training.rate", True, ["training.rate: expected a number, got true"]),
        ("training.rate", -0.1, ["training.rate: expected a value greater than 0, got -0.1"]),
        ("training.rate", float("nan"), ["training.rate: expected a"]),
        ("training", 3, ["training: expected keys with values, got 3"]),
        ("data.name", "fashion-mnist-min", ["data.name: ", "did you mean 'fashion-mnist-mini'?"]),
        ("data.channels", 2, ["data.channels: expected 1 or 3, got 2"]),
        ("model.name", "mobilenet_v3", ["model.name: unknown model", "did you mean 'mobilenet_v"]),
        ("model.arguments.widht", 1, ["model.arguments.widht: unknown", "did you mean 'width'?"]),
        ("model.arguments.width", -1, ["model.arguments: width: expected a factor above 0"]),
        ("model.arguments.activation", "swish", ["model.arguments: ", "swish"]),
        ("model.name", "mine:", ["model.name: expected package.module:factory, got 'mine:'"]),
        ("model.name", "os.path", ["model.name: unknown model"]),
        ("growth.criterion", "units", ["growth.criterion: ", "did you mean 'unit'?"]),
        ("growth.criterion", 3, ["growth.criterion: expected a name or {name: unit", "got 3"]),
        ("growth.criterion.cc", 3, ["growth.criterion.cc: unknown option of unit", "mean 'c'?"]),
        ("growth.criterion.nme", "fast", ["growth.criterion.nme: ", "did you mean 'name'?"]),
        ("growth.criterion.name", "fats", ["growth.criterion.name: ", "did you mean 'fast'?"]),
        ("growth.criterion.c", "three", ["growth.criterion.c: expected a valid number, got 'thr"]),
        ("growth.criterion.c", True, ["growth.criterion.c: expected a number, got true"]),
        ("growth.criterion.c", 0.5, ["growth.criterion.c: expected c", "1 or more, got 0.5"]),
        ("growth.criterion.step", 0, ["growth.criterion.step: expected a step above 0"]),
        ("growth.criterion.scope", "row", ["growth.criterion.scope: expected 'unit', 'rows' or"]),
        ("growth.criterion", {"name": "shuffled", "of": 1}, ["growth.criterion.of: expected a va"]),
        (
            "growth.criterion",
            {"name": "shuffled", "of": "neuron"},
            ["growth.criterion.of: there is no criterion 'neuron' to shuffle", "'neurons'"],
        ),
        ("growth.images", "all", ["growth.images: expected a whole number of images", "'all'"]),
        ("growth.images", 0, ["growth.images: expected a whole number", "or auto, got 0"]),
        ("growth.images", True, ["growth.images: expected a whole number"]),
        ("growth.images", 2.5, ["growth.images: expected a whole number", "got 2.5"]),
        ("growth.layers", 1, ["growth.layers: the criterion 'unit' finds no new layers; say cri"]),
        ("growth.layers", -1, ["growth.layers: expected a value greater than or equal to 0"]),
        ("growth.selector", "greed", ["growth.selector: ", "did you mean 'greedy'?"]),
        ("growth.stages", [0.6, 0.4], ["growth.stages: expected increasing", "got [0.6, 0.4]"]),
        ("growth.stages", [0.4, 0.9], ["growth.stages: ", "end in 1.0"]),
        ("growth.stages", 0.4, ["growth.stages: expected a list"]),
        ("growth.stages.1", 0.3, ["growth.stages: expected increasing"]),
        ("growth.stages.7", 0.3, ["growth.stages.7: expected an index from 0 to 1, got '7'"]),
        ("growth.at", [0.1], ["growth.at: expected 2 moments, one a stage, got [0.1]"]),
        ("growth.at", [0.2, 1.0], ["growth.at: expected increasing fractions between 0 and 1"]),
        ("growth.width_step", 6, ["growth.width_step: expected a multiple of 4, got 6"]),
        ("growth.widths.a", "lockd", ["growth.widths.a: expected {min: 32, max: 64} or locked"]),
        ("growth.widths.a", 3, ["growth.widths.a: expected {min: 32, max: 64} or locked, got 3"]),
        ("growth.widths.a", {"mni": 3}, ["growth.widths.a.mni: unknown key", "did you mean 'min'"]),
        ("growth.widths.a", {"min": 0}, ["growth.widths.a.min: expected a value greater than"]),
        ("growth.widths.a", {"min": 8, "max": 4}, ["growth.widths.a: expected a floor", "8", "4"]),
        ("growth.line_search", [1, 0], ["growth.line_search: expected factors above 0"]),
        ("budget.device", "hots", ["budget.device: ", "did you mean 'host'?"]),
        ("budget.limits", {}, ["budget.limits: ", "at least 1"]),
        ("budget.limits", {"latency": "4 MB"}, ["budget.limits.latency: expected", "'4 MB'"]),
        ("budget.limits", {"latency": 4}, ["budget.limits.latency: ", "unit", "got 4"]),
        ("budget.limits", {"latncy": "4 ms"}, ["budget.limits.latncy: ", "did you mean 'latency'"]),
        ("budget.limits", {"macs": True}, ["budget.limits.macs: expected a number, got true"]),
        ("budget.limits", {"macs": "1M", "macs_m": 2}, ["budget.limits: ", "two limits"]),
        (
            "budget.limits.macs",
            [],
            ["limits.macs: expected a limit, or a list of two", "empty"],
        ),
        ("budget.limits.macs", ["2x"], ["budget.limits.macs: expected two limits", "write '2x'"]),
        ("budget.limits.macs", ["3x", "2x"], ["budget.limits.macs: expected increasing limits"]),
        ("budget.limits.macs", ["2x", "2x"], ["budget.limits.macs: expected increasing limits"]),
        ("budget.limits.macs", ["2k", "3x", 1900], ["macs: expected increasing", "'3x', 1900]"]),
        ("budget.limits.macs", ["2x", True], ["budget.limits.macs.1: expected a number, got true"]),
        ("budget.limits.macs", ["2x", "4 MB"], ["budget.limits.macs.1: expected", "'4 MB'"]),
        ("budget.limits.macs", ["2x", ["3x"]], ["budget.limits.macs.1: expected a number, or a t"]),
        ("budget.limits.macs", ["2x", float("inf")], ["limits.macs.1: expected a finite number"]),
        ("budget.limits.macs", {"a": 1}, ["budget.limits.macs: expected a number, or a text"]),
        ("budget.limits", {"mac": ["2x", "3x"]}, ["budget.limits.mac: ", "did you mean 'macs'?"]),
        (
            "budget.limits",
            {"macs": ["2x", "3x"], "params": ["2x", "3x", "4x"]},
            ["budget.limits: expected lists of one length", "got 2 for macs and 3 for params"],
        ),
        ("front.trunk", 1, ["front.trunk: expected a value less than 1, got 1"]),
        ("front.trunk", 0, ["front.trunk: expected a value greater than 0, got 0"]),
        ("front.trunc", 0.5, ["front.trunc: unknown key", "did you mean 'trunk'?"]),
        ("front.at", [], ["front.at: expected increasing shares above 0, one a limit, got []"]),
        ("front.at", [0.2, 0.1], ["front.at: expected increasing shares above 0", "[0.2, 0.1]"]),
        ("front.at", [0.0, 0.1], ["front.at: expected increasing shares above 0"]),
        ("front.at", [0.1, 0.8], ["front.at: expected shares below trunk, 0.8", "[0.1, 0.8]"]),
        ("front.start", "wide", ["front.start: expected 'seed' or 'largest', got 'wide'"]),
        ("front", {"start": "largest", "smaller": "branch"}, ["front.start: ", "smaller: cut"]),
        ("front", {"start": "largest", "at": [0.1, 0.2]}, ["front.start: ", "leave one out"]),
        ("device", "gpu", ["device: expected 'auto', 'cpu' or 'cuda', got 'gpu'"]),
        ("seed", -1, ["seed: expected a value greater than or equal to 0, got -1"]),
        ("seed.x", 1, ["seed: expected a valid integer, got {x: 1}"]),
        ("sweep", {"growth.stage.0": {"low": 0, "high": 1}}, ["sweep.growth.stage.0", "'stages'"]),
        ("sweep", {"growth.criterion.cc": {"low": 1, "high": 3}}, ["criterion.cc", "mean 'c'?"]),
        ("sweep", {"growth.stages.9": {"low": 0, "high": 1}}, ["sweep.growth.stages.9: "]),
        ("sweep", {"training.rate": {"lo": 0, "high": 1}}, ["sweep.training.rate.lo: unknown key"]),
        ("sweep", {"training.rate": {"low": 2, "high": 1}}, ["sweep.training.rate: expected"]),
        ("sweep", {"training.rate": {"low": 1}}, ["sweep.training.rate: expected choices, or"]),
        (
            "sweep",
            {"training.rate": {"low": 0, "high": 1, "log": True}},
            ["sweep.training.rate.log: expected low above 0"],
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, dotted: str, value: Any, said: list[str]
) -> None:
    sentence = refused(write(tmp_path), {dotted: value})
    for words in said:
        assert words in sentence, sentence


def test_a_missing_section_says_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text("data: {name: fashion-mnist-mini}\n")
    assert "model: missing; expected the seed network" in refused(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:\n  name: [1\n", "line 3: not valid YAML"),
        ("- 1\n", "expected keys with values"),
        ("", "got nothing"),
        ("extends: 3\n", "extends: expected the path of a recipe, got 3"),
        ("extends: tiny.yml\n", "extends: no file at"),
        ("evidence: baseline.json\n", "evidence: no file at"),
        ("x: !!python/object:os.system {}\n", "expected a plain value, got the tag"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path)
    broken = tmp_path / "broken.yaml"
    broken.write_text(text)
    assert said in refused(broken)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "quickstart.yaml")
    with pytest.raises(RecipeError, match=r"no recipe at .*did you mean 'quickstart.yaml'\?"):
        Recipe.load(tmp_path / "quikstart.yaml")
    with pytest.raises(RecipeError, match="there is no folder"):
        Recipe.load(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(RecipeError, match="expected a regular file, got a folder"):
        Recipe.load(tmp_path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00\x81")
    assert "UTF-8" in refused(tmp_path / "x.yaml")


def test_extends_merges_sections_and_null_takes_away(tmp_path: Path) -> None:
    write(tmp_path, name_of := "base.yaml")
    (tmp_path / "middle.yaml").write_text(f"extends: {name_of}\ntraining: {{batch_size: 32}}\n")
    (tmp_path / "top.yaml").write_text(
        "extends: middle.yaml\nseed: 3\nbudget: {limits: {macs: null, params: 3x}}\n"
    )
    recipe = Recipe.load(tmp_path / "top.yaml")
    assert (recipe.name, recipe.seed) == ("top", 3)
    assert (recipe.training.epochs, recipe.training.batch_size) == (4, 32)
    assert recipe.budget.limits == {"params": "3x"}


def test_of_several_bases_the_later_lies_over_the_earlier(tmp_path: Path) -> None:
    name_of = os.path.relpath(QUICKSTART, tmp_path)
    (tmp_path / "limits.yaml").write_text("budget: {limits: {latency: null, params: 3x}}\n")
    (tmp_path / "more.yaml").write_text("budget: {limits: {macs: 2x}}\nseed: 4\n")
    top = tmp_path / "top.yaml"
    top.write_text(f"extends: [{name_of}, limits.yaml, more.yaml]\nseed: 5\n")
    recipe = Recipe.load(top)
    assert dict(recipe.budget.limits) == {"params": "3x", "macs": "2x"}
    assert (recipe.name, recipe.seed) == ("top", 5)
    top.write_text("extends: [limits.yaml, 3]\n")
    with pytest.raises(RecipeError, match="expected the path of a recipe, got 3"):
        Recipe.load(top)


def test_a_list_of_limits_is_a_front_and_a_scalar_holds_at_every_point(tmp_path: Path) -> None:
    limits = {"macs": ["1.5x", "20k", "3x"], "params": "9k"}
    path = write(tmp_path, budget={"limits": limits}, front={"at": [0.1, 0.2, 0.3]})
    recipe = Recipe.load(path)
    wanted = [{"macs": macs, "params": "9k"} for macs in limits["macs"]]
    assert list(recipe.budget.points) == wanted
    assert (recipe.front.trunk, recipe.front.at) == (0.8, (0.1, 0.2, 0.3))
    (tmp_path / "again.yaml").write_text(recipe.dump())
    assert Recipe.load(tmp_path / "again.yaml") == recipe
    wider = recipe.changed({"budget.limits.macs.2": "4x"})
    assert wider.budget.limits["macs"] == ("1.5x", "20k", "4x")
    assert not recipe.wide
    wide = recipe.changed({"front.at": None, "front.start": "largest"})
    assert wide.wide and not wide.changed({"budget.limits.macs": "3x"}).wide
    assert recipe.growth.criterion == BASE["growth"]["criterion"]
    unnamed = {key: said for key, said in BASE["growth"].items() if key != "criterion"}
    for said, wanted in ((limits, "unscored"), ({"macs": "2x"}, "births")):
        other = write(tmp_path, "other.yaml", budget={"limits": said}, growth=unnamed)
        assert Recipe.load(other).growth.criterion == wanted
    alone = recipe.changed({"budget.limits.macs": "3x"})  # what `front` says is not looked at
    assert alone.budget.points == ({"macs": "3x", "params": "9k"},)
    said = refused(path, {"front.at": [0.1, 0.2]})
    assert "front.at: expected 3 shares, one a limit, got [0.1, 0.2]" in said


@given(
    st.lists(st.integers(1010, 50_000), min_size=2, max_size=6, unique=True).map(
        lambda found: [one / 1000 for one in found]
    ),
    st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_points_are_the_lists_read_across(times: list[float], cut: int) -> None:
    """For every number of limits; out of order they are refused."""
    macs, params = [f"{one}x" for one in sorted(times)], [int(1e4 * one) for one in sorted(times)]
    budget = {"limits": {"macs": macs, "params": params, "memory": "2x"}}
    points = Recipe.model_validate({**BASE, "name": "x", "budget": budget}).budget.points
    assert [(p["macs"], p["params"]) for p in points] == list(zip(macs, params, strict=True))
    assert {p["memory"] for p in points} == {"2x"}
    turned = macs[(first := 1 + cut % (len(macs) - 1)) :] + macs[:first]
    with pytest.raises(ValidationError, match="expected increasing limits"):
        Recipe.model_validate({**BASE, "name": "x", "budget": {"limits": {"macs": turned}}})


@pytest.mark.parametrize("piece", sorted(BUDGETS.glob("limits/*.yaml")), ids=lambda p: p.stem)
def test_the_examples_of_budgets_are_pieces_of_recipes(piece: Path, tmp_path: Path) -> None:
    top = tmp_path / "top.yaml"
    bases = [os.path.relpath(file, tmp_path) for file in (QUICKSTART, piece)]
    top.write_text(yaml.safe_dump({"extends": bases}))
    limits = Recipe.load(top).budget.limits
    assert piece.stem == "several" or any(key.startswith(piece.stem) for key in limits)


def test_a_loop_of_extends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(RecipeError, match="loop"):
        Recipe.load(tmp_path / "a.yaml")


def test_overrides_reach_lists_and_sections_left_to_defaults(tmp_path: Path) -> None:
    plain = {key: value for key, value in BASE.items() if key != "growth"}
    path = tmp_path / "plain.yaml"
    path.write_text(yaml.safe_dump(plain))
    words = ["growth.stages.0=0.2", "training.rate=1e-3", "data.size=14", "budget.limits.params=9k"]
    recipe = Recipe.load(path, parse_overrides(words))
    assert recipe.growth.stages[0] == 0.2
    assert recipe.training.rate == 1e-3
    assert recipe.data.size == 14
    assert recipe.budget.limits == {"macs": "2x", "params": "9k"}


def test_an_override_must_say_a_field_and_a_value() -> None:
    for word in ("seed", "=3"):
        with pytest.raises(RecipeError, match="expected field=value"):
            parse_overrides([word])
    with pytest.raises(RecipeError, match="seed: expected a YAML value"):
        parse_overrides(["seed=[1"])


def test_a_changed_recipe_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path))
    assert recipe.changed({"growth.stages.0": 0.3}).growth.stages == (0.3, 1.0)
    assert recipe.growth.stages == (0.4, 1.0)


@pytest.mark.parametrize("name", ["quickstart", "mobilenet_v2", "cifar10", "keywords"])
def test_the_recipes_that_ship_load_and_round_trip(name: str, tmp_path: Path) -> None:
    recipe = Recipe.load(RECIPES / f"{name}.yaml")
    assert recipe.name == name
    (tmp_path / "recipe.yaml").write_text(recipe.dump(tmp_path))
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe


fractions = st.floats(0.01, 0.99).map(lambda x: round(x, 4))
growths = st.lists(fractions, min_size=1, max_size=4, unique=True).map(sorted)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    at=growths,
    rate=st.floats(1e-6, 10),
    name=st.from_regex(r"[a-zA-Z0-9äß漢][\w.-]{0,30}", fullmatch=True),
    limit=st.sampled_from(["2x", "1.5M", 10**7, 2.5e6]),
    step=st.sampled_from([None, 4, 16]),
    ends=st.tuples(st.floats(1e-6, 0.1), st.floats(0.2, 5)),
)
def test_a_dump_loads_back_to_an_equal_recipe(
    tmp_path_factory: pytest.TempPathFactory, ends: tuple[float, float], **given_values: Any
) -> None:
    at, folder = given_values["at"], tmp_path_factory.mktemp("recipe")
    growth = {"at": at, "stages": [*at[1:], 1.0], "width_step": given_values["step"]}
    recipe = Recipe.model_validate(
        {
            **BASE,
            "name": given_values["name"],
            "seed": given_values["seed"],
            "growth": growth,
            "budget": {"limits": {"macs": given_values["limit"]}},
            "training": {"epochs": 3, "rate": given_values["rate"]},
            "sweep": {
                "training.rate": {"low": ends[0], "high": ends[1], "log": True},
                "growth.at": {"choices": [at, None, "x", 3]},
            },
        }
    )
    path = folder / "recipe.yaml"
    path.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.load(path) == recipe


def test_evidence_of_a_base_may_be_taken_away(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", evidence="nowhere/evidence.json")
    variant = tmp_path / "variant.yaml"
    variant.write_text("extends: base.yaml\nevidence: null\n")
    assert Recipe.load(variant).evidence is None


def test_evidence_is_found_from_wherever_the_recipe_is_dumped(tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text("{}")
    recipe = Recipe.load(write(tmp_path, evidence="evidence.json"))
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe.dump(run))
    assert yaml.safe_load(recipe.dump(run))["evidence"] == "../../evidence.json"
    assert Recipe.load(run / "recipe.yaml") == recipe


def test_a_factory_of_ones_own_is_named_and_not_yet_imported(tmp_path: Path) -> None:
    """Reading a recipe imports nothing; a sweep may choose any argument of the factory."""
    model = {"name": "no_such_module.nets:net", "arguments": {"width": 8, "acts": ["relu"]}}
    sweep = {"model.arguments.depth": {"choices": [1, 2]}}
    recipe = Recipe.load(write(tmp_path, model=model, sweep=sweep))
    assert recipe.model.own
    assert recipe.model.arguments == model["arguments"]
    assert not Recipe.load(write(tmp_path)).model.own
    (tmp_path / "again.yaml").write_text(recipe.dump())
    assert Recipe.load(tmp_path / "again.yaml") == recipe
    assert "sweep.model.nam" in refused(
        write(tmp_path, model=model, sweep={"model.nam": {"choices": [1]}})
    )


def test_widths_of_groups_are_read_and_come_back(tmp_path: Path) -> None:
    said = {"features.3.*": {"min": 32, "max": 64}, "stem": "locked", "*": {"max": 128}}
    recipe = Recipe.load(write(tmp_path), {"growth.widths": said})
    assert [one.range for one in recipe.growth.widths.values()] == [
        Range(low=32, high=64),
        Range.locked(),
        Range(high=128),
    ]
    (tmp_path / "again.yaml").write_text(recipe.dump())
    assert Recipe.load(tmp_path / "again.yaml").growth == recipe.growth


def test_a_criterion_is_a_name_or_a_name_with_options(tmp_path: Path) -> None:
    """In a file, over what it extends, by an override, by a sweep; and it comes back."""
    base = write(tmp_path, "base.yaml", growth={**BASE["growth"], "criterion": "s2d"})
    (tmp_path / "top.yaml").write_text("extends: base.yaml\ngrowth: {criterion: {step: 0.1}}\n")
    top = Recipe.load(tmp_path / "top.yaml")
    assert top.growth.criterion == {"name": "s2d", "step": 0.1}
    (tmp_path / "word.yaml").write_text("extends: top.yaml\ngrowth: {criterion: fast}\n")
    assert Recipe.load(tmp_path / "word.yaml").growth.criterion == "fast"
    for path, name in ((base, "s2d"), (write(tmp_path), "unit")):
        found = Recipe.load(path, {"growth.criterion.c": 3})
        assert found.growth.criterion == {"name": name, "c": 3.0}
        assert found.changed({"growth.criterion.c": 2}).growth.criterion == {"name": name, "c": 2.0}
        assert found.changed({"growth.criterion": "fast"}).growth.criterion == "fast"
        made = built_criterion(found.growth)
        assert (made.c, made.step) == (3.0, found.growth.step)  # type: ignore[attr-defined]
        (tmp_path / "again.yaml").write_text(found.dump())
        assert Recipe.load(tmp_path / "again.yaml") == found
    assert built_criterion(top.growth).step == 0.1  # type: ignore[attr-defined]
    assert Recipe.load(base, {"growth.criterion": {"name": "unit"}}).growth.criterion == "unit"
    sweep = {
        "growth.criterion.c": {"low": 1.0, "high": 3.0},
        "growth.images": {"choices": ["auto"]},
    }
    swept = Recipe.load(base, {"sweep": sweep})
    tried = swept.changed({"growth.criterion.c": 1.5, "growth.images": "auto", "sweep": {}})
    assert tried.growth.criterion == {"name": "s2d", "c": 1.5}
    assert tried.growth.images == "auto"


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_can_be_asked_for_and_its_options_are_known(name: str) -> None:
    growth = Recipe.model_validate({**BASE, "name": "x", "growth": {**BASE["growth"]}}).growth
    placebo = {"name": "shuffled", "of": name}
    for asked in (name, placebo) if name != "shuffled" else (name,):
        assert hasattr(built_criterion(growth.model_copy(update={"criterion": asked})), "score")
    for option, kind in options_of(name).items():
        assert kind is not None, option
        with pytest.raises(ValidationError):
            GrowthPart.model_validate({"criterion": {"name": name, option: object()}})
    with pytest.raises(ValidationError, match="unknown option"):
        GrowthPart.model_validate({"criterion": {"name": name, "nothing_such": 1}})

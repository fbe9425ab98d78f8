"""Bad recipes, a row each: refused before anything is spent."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easearch.errors import RecipeError
from easearch.recipe import Recipe
from easearch.recipe.hints import HINTS
from easearch.recipe.schema import annotation
from refusals.refused import raised, refused

SOUND = """\
data: {name: fashion-mnist-mini}
model: {name: mobilenet_v1, arguments: {layout: [[8, 1, 1]], stem_channels: 8}}
budget: {limits: {macs: 2x}}
growth: {criterion: unit, stages: [0.4, 1.0], at: [0.1, 0.2]}
training: {epochs: 4}
"""
HUGE = "9" * 5000
VALUES: dict[str, tuple[str, Any]] = {
    "seed below 0": ("seed", -1),
    "seed beyond what a generator takes": ("seed", 2**63 - 1),
    "seed of 5,000 digits": ("seed", 10**5000),
    "seed as a list": ("seed", [1]),
    "name that leads elsewhere": ("name", "../../x"),
    "name that is hidden": ("name", ".hidden"),
    "name with a zero byte": ("name", "a\0b"),
    "name with an escape": ("name", "\x1b[31mred"),
    "name of two lines": ("name", "a\nb"),
    "name without letters": ("name", ""),
    "name of 101 letters": ("name", "x" * 101),
    "name like an option": ("name", "-rf"),
    "thousands of threads": ("threads", 5000),
    "millions of threads": ("threads", 10**8),
    "no threads": ("threads", 0),
    "a device that is none": ("device", "tpu"),
    "pictures beyond memory": ("data.size", 100_000),
    "images of 5,000 digits": ("data.images", 10**5000),
    "root with a zero byte": ("data.root", "a\0b"),
    "root with an escape": ("data.root", "\x1b]0;x\x07"),
    "validation of all": ("data.validation", 1),
    "validation as nan": ("data.validation", float("nan")),
    "channels as text": ("data.channels", "three"),
    "a layout of 1e9 channels": ("model.arguments.layout", [[10**9, 1, 1]]),
    "a layout of 1e6 blocks": ("model.arguments.layout", [[8, 60_000, 1]]),
    "a layout as a number": ("model.arguments.layout", 3),
    "a layout of words": ("model.arguments.layout", [["a", "b", "c"]]),
    "a width as text": ("model.arguments.width", "wide"),
    "a width of 1e300": ("model.arguments.width", 1e300),
    "an activation as a list": ("model.arguments.activation", ["relu"]),
    "dropout as text": ("model.arguments.dropout", "much"),
    "classes as true": ("model.arguments.classes", True),
    "a model as a number": ("model.name", 5),
    "a model that is no path": ("model.name", "os:"),
    "epochs as text": ("training.epochs", "many"),
    "epochs beyond a life": ("training.epochs", 10**12),
    "a rate as nan": ("training.rate", float("nan")),
    "a rate of 400 digits": ("training.rate", 10**400),
    "a rate as infinity": ("training.rate", float("inf")),
    "a momentum of 1": ("training.momentum", 1),
    "compute below 0": ("training.compute", -1),
    "compute of 1e300": ("training.compute", 1e300),
    "a batch of 1e12": ("training.batch_size", 10**12),
    "a pad of 100,000": ("training.pad", 100_000),
    "warm-up of 1e300": ("training.warmup", 1e300),
    "a decay of 1e300": ("training.weight_decay", 1e300),
    "flip as text": ("training.flip", "sometimes"),
    "a line search of 1e300": ("growth.line_search", [1e300]),
    "a line search of nothing": ("growth.line_search", []),
    "10,000 stages": ("growth.stages", [k / 10_000 for k in range(1, 10_001)]),
    "stages that fall": ("growth.stages", [0.6, 0.4, 1.0]),
    "a width step of 2**40": ("growth.width_step", 2**40),
    "1e9 new layers": ("growth.layers", 10**9),
    "images to score of 1e30": ("growth.images", 10**30),
    "a criterion that shuffles itself": (
        "growth.criterion",
        {"name": "shuffled", "of": "shuffled"},
    ),
    "a criterion as a list": ("growth.criterion", ["unit"]),
    "a width range upside down": ("growth.widths", {"a": {"min": 9, "max": 3}}),
    "a width of 2**60": ("growth.widths", {"a": {"min": 2**60}}),
    "a limit of 5,000 digits": ("budget.limits.macs", HUGE),
    "a limit of 10**400": ("budget.limits.macs", 10**400),
    "a limit of infG": ("budget.limits.macs", "infG"),
    "a limit of 1e308": ("budget.limits.macs", 1e308),
    "a limit as a list of 1e4": ("budget.limits.macs", [f"{k}x" for k in range(2, 10_000)]),
    "a limit of nothing": ("budget.limits.macs", []),
    "limits as a list": ("budget.limits", ["2x"]),
    "a meter with an escape": ("budget.limits.\x1b[31mmacs", 1),
    "a device that leads elsewhere": ("budget.device", "../../x"),
    "a device of 5,000 letters": ("budget.device", "x" * 5000),
    "a sweep from nan": ("sweep", {"training.rate": {"low": float("nan"), "high": 1}}),
    "a sweep to 1e308": ("sweep", {"training.rate": {"low": 0, "high": 1e308}}),
    "a sweep of what is not there": ("sweep", {"training.lr": {"low": 0.1, "high": 1}}),
    "evidence with a zero byte": ("evidence", "a\0b"),
}
TEXTS: dict[str, str | bytes] = {
    "an alias bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nseed: *c\n",
    "an alias of itself": "seed: &a [*a]\n",
    "an anchor": "seed: &a 1\n",
    "a merge of aliases": "a: &a {x: 1}\ndata:\n  <<: *a\n",
    "a tag of Python": "seed: !!python/object/apply:os.system [true]\n",
    "a tag of bytes": "seed: !!binary AAAA\n",
    "a key twice": "seed: 1\nseed: 2\n",
    "a key twice, deep": "data: {name: a, name: b}\n",
    "lists to a depth of 1e5": "[" * 100_000,
    "keys to a depth of 100": "{a: " * 100 + "1" + "}" * 100,
    "20,000 values": "a: [" + "1," * 20_000 + "]",
    "a number of 5,000 digits": f"seed: {HUGE}\n",
    "a number that is none": "seed: 0x_\n",
    "a date that is none": "seed: 2024-13-45\n",
    "not a number": "training: {epochs: .nan}\n",
    "a zero byte": b"seed: 1\0\n",
    "an escape": b"seed: \x1b[31m1\n",
    "not UTF-8": b"seed: \xff\xfe\n",
    "half a character": 'name: "\\ud800"\n',
    "tabs": "\tseed: 1\n",
    "two documents": "---\nseed: 1\n---\nseed: 2\n",
    "nothing": "",
    "a list": "- seed\n",
    "a key that is a list": "? [a]\n: b\n",
    "300 KB": "# " + "x" * 300_000,
    "no end": "seed: '\n",
    "UTF-16": "seed: 1\n".encode("utf-16"),
    "itself": "extends: bad.yaml\n",
    "what extends a number": "extends: [1]\n",
    "what extends a zero byte": 'extends: "a\\0b"\n',
    "what extends a name of 5,000 letters": f"extends: {'x' * 5000}\n",
}
WORDS: dict[str, tuple[str, ...]] = {
    "a verb that is none": ("grwo",),
    "no recipe": ("grow",),
    "two recipes": ("plan", "a", "b"),
    "an option that is none": ("grow", "a", "--ut"),
    "a set without a value": ("plan", "sound.yaml", "--set", "seed"),
    "a set of 5,000 digits": ("plan", "sound.yaml", "--set", f"seed={HUGE}"),
    "a set of an alias": ("plan", "sound.yaml", "--set", "seed=&a [*a]"),
    "a set twice": ("plan", "sound.yaml", "--set", "seed=1", "--set", "seed=2"),
    "a set with an escape": ("plan", "sound.yaml", "--set", "\x1b[31mseed=1"),
    "a path of 5,000 keys": ("plan", "sound.yaml", "--set", "a." * 5000 + "b=1"),
    "an index of 5,000 digits": ("plan", "sound.yaml", "--set", f"growth.stages.{HUGE}=1"),
    "no trials": ("sweep", "sound.yaml", "--trials", "0"),
    "trials of 30 digits": ("sweep", "sound.yaml", "--trials", "9" * 30),
    "seeds as a float": ("compare", "sound.yaml", "--seeds", "1e9"),
    "images of 5,000 digits": ("score", "sound.yaml", "--images", HUGE),
    "minutes that are none": ("plan", "sound.yaml", "--minutes", "nan"),
    "a file of no name": ("plan", "x" * 5000),
    "a folder": ("plan", "."),
    "a device file": ("plan", "/dev/zero"),
    "a name with an escape": ("plan", "\x1b[31mx.yaml"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_no_good(name: str, tmp_path: Path) -> None:
    (tmp_path / "sound.yaml").write_text(SOUND)
    dotted, value = VALUES[name]
    raised(lambda: Recipe.load(tmp_path / "sound.yaml", {dotted: value}), kind=RecipeError)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_is_no_recipe(name: str, tmp_path: Path) -> None:
    text, file = TEXTS[name], tmp_path / "bad.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    raised(lambda: Recipe.load(file), re.escape(str(file)), kind=RecipeError, folder=tmp_path)


@pytest.mark.parametrize("name", WORDS)
def test_a_command_that_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "sound.yaml").write_text(SOUND)
    refused(WORDS[name], tmp_path)


def _chain(folder: Path, bases: Callable[[int], str], count: int) -> Path:
    (folder / "f0.yaml").write_text(SOUND)
    for number in range(1, count):
        (folder / f"f{number}.yaml").write_text(f"extends: {bases(number)}\n")
    return folder / f"f{count - 1}.yaml"


def test_a_diamond_is_read_once_a_file_and_a_long_chain_is_refused(tmp_path: Path) -> None:
    """Twelve levels of a diamond are 4,096 ways to the base."""
    top = _chain(tmp_path, lambda n: f"[f{n - 1}.yaml, f{n - 1}.yaml]", 13)
    assert Recipe.load(top).training.epochs == 4
    raised(lambda: Recipe.load(_chain(tmp_path, lambda n: f"f{n - 1}.yaml", 40)), "extends")


def test_wrong_keys_are_told_together_with_what_they_mean_here(tmp_path: Path) -> None:
    (tmp_path / "sound.yaml").write_text(SOUND)
    wrong = {"training.lr": 0.1, "training.optimizer": "adam", "training.mixup": 0.2, "trainng": 1}
    says = ("training.rate is the learning rate", "SGD", "shifted", "did you mean 'training'")
    raised(lambda: Recipe.load(tmp_path / "sound.yaml", wrong), *says)
    values = {"seed": -1, "data.size": 10**6, "training.epochs": "x"}
    raised(lambda: Recipe.load(tmp_path / "sound.yaml", values), "seed", "data.size", "epochs")


@pytest.mark.parametrize("key", ["lr", "optimizer", "mixup", "batchsize", "wd", "device", "epoch"])
@pytest.mark.parametrize("section", ["", "training.", "budget.", "data."])
def test_a_key_of_other_tools_gets_a_hint(key: str, section: str, tmp_path: Path) -> None:
    (tmp_path / "sound.yaml").write_text(SOUND)
    if f"{section}{key}" in ("device", "budget.device"):
        pytest.skip("it is a key")
    text = raised(lambda: Recipe.load(tmp_path / "sound.yaml", {f"{section}{key}": 1}))
    assert "known:" not in text, text


def test_what_the_hints_name_is_there() -> None:
    for said in HINTS.values():
        for dotted in re.findall(r"\b(?:training|data|budget|model)\.\w+", said):
            assert annotation(Recipe, dotted.split(".")) is not None, dotted

"""What a recipe says of its data is what training, scoring and the finished network meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import easearch as ea
from easearch.data.spoken_digits import FILE, UNSEEN
from easearch.feed import DataFeed, data_of

RECIPES = Path(__file__).parent.parent / "recipes"


def test_a_part_of_the_images_is_the_same_for_every_seed() -> None:
    asked = ea.Recipe.load(
        RECIPES / "quickstart.yaml", {"data.images": 400, "data.validation": 0.25}
    )
    seen = []
    for seed in (0, 3):
        recipe = asked.changed({"seed": seed})
        data = data_of(recipe)
        assert (len(data.train), len(data.validation), len(data.test)) == (300, 100, 2000)
        both = torch.cat([data.train.x, data.validation.x]).flatten(1)
        seen.append({row.numpy().tobytes() for row in both})
        feed = DataFeed(dataset=data, recipe=recipe, device="cpu")
        # whole batches of 64 to learn from, and no more than half of the images to score on
        assert (feed.samples, feed.scoring(0).samples) == (256, 150)
    assert seen[0] == seen[1]


def test_the_keyword_recipe_grows_on_pictures_that_are_not_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every digit is a tone of its own, begun at any time: what such a network tells apart."""
    rng = np.random.default_rng(0)
    y, speaker = np.arange(480) % 10, np.repeat(["ada", "grace", "mary", UNSEEN], 120)
    x = rng.integers(60, size=(480, 32, 40), dtype=np.uint8)
    for picture, digit, start in zip(x, y, rng.integers(20, size=480), strict=True):
        picture[:: digit + 1, start : start + 20] = 255
    np.savez(tmp_path / FILE, x=x, y=y, speaker=speaker)
    monkeypatch.setenv("EASEARCH_DATA", str(tmp_path))
    small = {"layout": [[8, 2, 1]], "stem_channels": 8, "stem_stride": 4}
    changes = {f"model.arguments.{name}": value for name, value in small.items()}
    fewer = {"growth.images": 64, "growth.width_step": 4}
    limits = {"budget.limits": {"macs": "2x"}, "training.epochs": 8, "training.batch_size": 16}
    recipe = ea.Recipe.load(RECIPES / "keywords.yaml", {**changes, **fewer, **limits})
    run = ea.grow(recipe, tmp_path / "run")
    assert run.certificate.meets
    assert run.summary["test"]["images"] == 120
    assert run.summary["test"]["accuracy"] > 0.5
    session = onnxruntime.InferenceSession(run.path / "model.onnx")
    assert session.get_inputs()[0].shape[1:] == [1, 32, 40]

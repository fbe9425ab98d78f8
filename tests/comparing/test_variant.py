"""What stands behind an arm's colon: it changes the recipe, or is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from easearch.comparing.arms import ARMS
from easearch.comparing.arms.variant import changes_of, refused
from easearch.comparing.files import Entry
from easearch.comparing.words import training_of
from easearch.scoring import CRITERIA


def test_words_on_its_training_are_not_for_the_arm() -> None:
    """They reach the recipe whatever stands beside them; what all arms share cannot be said."""
    entry = Entry(arm="grow:unit+training.rate=0.2+even=0.5+training.flip=false", seed=0)
    assert entry.name == "grow" and entry.option == "unit+even=0.5"
    assert training_of(entry.own) == {"training.rate": 0.2, "training.flip": False}
    assert Entry(arm="sliced:training.rate=0.2", seed=0).option is None
    for word in ("epochs=3", "compute=1e9", "rat=0.1", "rate", "rate=["):
        with pytest.raises(ValueError, match=r"^expected"):
            training_of([f"training.{word}"])


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_alone(name: str) -> None:
    assert changes_of(name) == {"growth.criterion": name}


def test_values_are_yaml_and_may_follow_a_criterion() -> None:
    said = "neurons+at=[0.05, 0.15]+even=0.5+criterion.step=0.1"
    assert changes_of(said) == {
        "growth.criterion": "neurons",
        "growth.at": [0.05, 0.15],
        "growth.even": 0.5,
        "growth.criterion.step": 0.1,
    }
    assert changes_of("front.smaller=cut") == {"front.smaller": "cut"}
    assert changes_of("layers=2") == {"growth.layers": 2}
    assert changes_of(None) == {}


@pytest.mark.parametrize(
    "said",
    ["", "nerons", "neurons+at", "evn=1", "at=[1", "neurons+unit", "front.x=1", "width_step=8"],
)
def test_others_are_refused(said: str) -> None:
    why = refused(said)
    assert why is not None and why.startswith("expected")
    assert all(ARMS[name].refusal(said) for name in ("grow", "found", "shuffled", "random"))


def test_every_variant_has_a_folder_of_its_own(tmp_path: Path) -> None:
    names = [
        "grow",
        "grow:neurons",
        "grow:at=[0.1,0.2]",
        "grow:neurons+at=[0.1,0.2]",
        "grow:even=1",
    ]
    folders = {Entry(arm=arm, seed=0).folder(tmp_path) for arm in names}
    assert len(folders) == len(names)
    assert all(folder.is_relative_to(tmp_path) for folder in folders)
    assert Entry(arm="grow:../../up", seed=0).folder(tmp_path).parent.parent == tmp_path

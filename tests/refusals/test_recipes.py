"""Bad recipes, a row each: `plan` refuses them before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusals.refused import refused

SOUND = """\
data: {name: fashion-mnist-mini}
model: {name: mobilenet_v1, arguments: {layout: [[8, 1, 1]], stem_channels: 8}}
budget: {limits: {macs: 2x}}
growth: {criterion: unit, stages: [0.4, 1.0], at: [0.1, 0.2]}
training: {epochs: 4}
"""
ROWS: dict[str, tuple[str, ...]] = {
    "seed below 0": ("seed=-1",),
    "epochs as a text": ("training.epochs=many",),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_field_that_is_no_good(name: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SOUND)
    words = [word for said in ROWS[name] for word in ("--set", said)]
    refused(["plan", "bad.yaml", *words], tmp_path)


@pytest.mark.parametrize("words", [["grwo"], ["grow"], ["plan", "a", "b"], ["grow", "a", "--ut"]])
def test_a_command_that_is_none(words: list[str], tmp_path: Path) -> None:
    refused(words, tmp_path, status=2)

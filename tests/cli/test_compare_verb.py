"""`easearch compare` on the command line: what it tells, as a table and as JSON, and its status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easearch.cli import main

TINY = """
name: tiny
data: {name: fashion-mnist-mini, validation: 0.95, size: 14}
model:
  name: mobilenet_v1
  arguments: {layout: [[8, 1, 1], [8, 1, 2]], stem_channels: 8}
budget: {limits: {macs: 2x}}
growth: {stages: [1.0], at: [0.5], images: 32, width_step: 4}
training: {epochs: 4, batch_size: 64}
threads: 1
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def test_a_dry_run_tells_compute_and_time_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "tiny.yaml", "--seeds", "2", "--dry-run"]) == 0
    told = capsys.readouterr().out
    for word in ("entries", "MACs an entry", "times the seed's widths", "time in all"):
        assert word in told
    assert main(["compare", "tiny.yaml", "--seeds", "2", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["total_compute"] == 4 * document["terms"]["compute"]
    assert document["left"] == 4 and len(document["total_seconds"]) == 2
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


def test_a_comparison_ends_with_a_table_a_page_and_a_status(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "tiny.yaml", "--arms", "uniform, seed", "--seeds", "1", "--out", "out"]
    assert main([*words, "--set", "training.rate=0.05"]) == 0
    told = capsys.readouterr().out
    assert "against uniform" in told and "claims nothing" in told
    assert (here / "out" / "comparison.html").exists()
    assert main([*words, "--set", "training.rate=0.05", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["arm"] for row in document["rows"]] == ["uniform", "seed"]
    assert document["reference"] == "uniform" and document["path"] == "out"
    assert main(words) == 1  # another recipe
    assert "training.rate was 0.05 and is 0.2" in capsys.readouterr().err
    assert main(["compare", "tiny.yaml", "--arms", "gorw"]) == 1
    assert "did you mean 'grow'" in capsys.readouterr().err


def test_an_entry_that_fails_is_told_by_the_status(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scoring alone takes more than there is to spend."""
    few = ["--set", "training.compute=30e6", "--set", "growth.images=256"]
    words = ["compare", "tiny.yaml", "--arms", "grow,uniform", "--seeds", "1", "--out", "out"]
    assert main([*words, *few]) == 1
    told = capsys.readouterr().out
    assert "grow, seed 0 failed: " in told and "to be spent" in told
    assert "test accuracy" in told


def test_a_front_on_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--set", "budget.limits={macs: [1.5x, 2x]}"]
    words = ["compare", "tiny.yaml", "--arms", "uniform,uniform:equal", "--seeds", "1", *limits]
    assert main([*words, "--dry-run"]) == 0
    told = capsys.readouterr().out
    for word in ("limit 1", "limit 2", "MACs an entry", "times the seed's widths"):
        assert word in told
    assert main([*words, "--out", "out"]) == 0
    told = capsys.readouterr().out
    assert "hypervolume" in told and "against uniform" in told
    assert (here / "out" / "uniform-equal" / "seed-0" / "limit-2" / "model.onnx").exists()

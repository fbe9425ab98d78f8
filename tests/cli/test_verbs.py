"""The verbs on real models and runs, without a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easearch.cli import main

TINY = """
data: {name: fashion-mnist-mini, validation: 0.9, size: 14}
model:
  name: mobilenet_v1
  arguments: {layout: [[8, 1, 1], [8, 1, 2]], stem_channels: 8}
budget: {limits: {macs: 2x}}
growth: {stages: [1.0], at: [0.5], images: 128, width_step: 4}
training: {epochs: 2, batch_size: 128}
threads: 1
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EASEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A finished run, and what the command said on the way."""
    folder = tmp_path_factory.mktemp("grown")
    (folder / "tiny.yaml").write_text(TINY)
    words = ["grow", str(folder / "tiny.yaml"), "--out", str(folder / "run"), "--json"]
    command = [sys.executable, "-m", "easearch", *words]
    return folder / "run", subprocess.run(command, capture_output=True, text=True, check=False)


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_grow_prints_one_document_and_plain_lines(
    grown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = grown
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["name"] == "tiny"
    assert told["certificate"]["meets"] is True
    assert Path(told["path"]) == folder
    lines = done.stderr.splitlines()
    assert any(line.startswith("epoch ") and "/2 " in line and "macs" in line for line in lines)
    assert any(line.startswith("growth 1: +") for line in lines)
    assert not any(ord(char) < 32 for line in lines for char in line)


def test_grow_refuses_a_folder_that_is_not_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert main(["grow", str(tmp_path / "tiny.yaml"), "--out", str(mine)]) == 1
    assert str(mine) in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_measure_export_and_report_a_run(
    grown: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = grown
    told = printed(["measure", str(folder), "--meters", "macs,params"], capsys)
    assert told["input"] == [1, 14, 14]
    summary = json.loads((folder / "run.json").read_text())
    assert told["costs"]["macs"]["total"] == summary["cost"]["macs"]
    target = tmp_path / "net.onnx"
    assert printed(["export", str(folder), "--out", str(target)], capsys)["file"] == str(target)
    assert target.stat().st_size > 1000
    page = Path(printed(["report", str(folder)], capsys)["report"])
    assert page.read_text().lstrip().lower().startswith("<!doctype html")


def test_measure_a_seed_and_a_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["measure", "mobilenet_v1", "--set", "width=0.5", "--meters", "macs,latency"]
    told = printed(words, capsys)
    assert told["costs"]["macs"]["total"] == sum(row["macs"] for row in told["layers"])
    assert told["costs"]["latency"]["total"] > 0
    (tmp_path / "mine_for_cli.py").write_text(
        "from torch import nn\n"
        "def net(width=4):\n"
        "    print('libraries talk')\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3, bias=False), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = ["measure", "mine_for_cli:net", "--set", "width=8", "--input", "3x8x8"]
    told = printed([*words, "--meters", "params"], capsys)
    assert told["costs"]["params"]["total"] == 3 * 8 * 9
    assert main([*words, "--meters", "params"]) == 0
    assert "total" in capsys.readouterr().out


def test_doctor_says_what_each_finding_means(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(["doctor"], capsys)
    names = {finding["name"] for finding in told["findings"]}
    assert {"python", "processor", "CUDA", "cache", "width step", "free memory"} <= names
    assert all(finding["value"] and finding["means"] for finding in told["findings"])
    assert main(["doctor"]) == 0
    assert "python: 3." in capsys.readouterr().out

"""What README shows runs: its Python, its recipes, its verbs with their options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import easearch as ea
from easearch.cli import main
from easearch.cli.app import EXAMPLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIDE = 14
QUICK = f"""\
data: {{name: fashion-mnist-mini, size: {SIDE}, images: 600}}
model: {{name: mobilenet_v1, arguments: {{layout: [[8, 1, 2]], stem_channels: 8}}}}
budget: {{limits: {{macs: 2x}}}}
growth: {{stages: [1.0], at: [0.5], images: 128, width_step: 4}}
training: {{epochs: 1, batch_size: 64}}
threads: 1
"""
"""Stands for the quickstart, which takes minutes."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def my_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )


def test_the_python_of_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "quickstart.yaml").write_text(QUICK)
    torch.manual_seed(0)
    model, sample = my_net(), torch.zeros(1, 1, SIDE, SIDE)
    batches = [(torch.randn(16, 1, SIDE, SIDE), torch.arange(16) % 10) for _ in range(4)]
    names: dict[str, Any] = {
        "model": model,
        "sample": sample,
        "batches": batches,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "my_net": my_net,
    }
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), names)
    step = names["step"]
    assert step.loss_after <= step.loss_before + 1e-6
    assert isinstance(names["run"], ea.Run) and (tmp_path / "runs" / "first").is_dir()
    x = batches[0][0]
    assert torch.allclose(names["silent"].eval()(x), model.eval()(x), atol=1e-5)


@pytest.mark.parametrize("number", range(len(blocks("yaml"))))
def test_a_recipe_of_readme_can_be_read(number: int, tmp_path: Path) -> None:
    said = yaml.safe_load(blocks("yaml")[number])
    (tmp_path / "r.yaml").write_text(
        yaml.safe_dump({**said, "extends": str(ROOT / "recipes" / said["extends"])})
    )
    assert ea.Recipe.load(tmp_path / "r.yaml").budget


def test_every_verb_of_readme_is_one_with_these_options(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.findall(r"^\| `easearch (\w+)[^|]*\|.*$", README, re.M)
    assert set(rows) == {verb.__name__ for verb in EXAMPLES}
    for line in re.findall(r"^\| `easearch .*$", README, re.M):
        verb = re.search(r"easearch (\w+)", line)
        assert verb is not None
        assert main([verb.group(1), "--help"]) == 0
        shown = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown, (verb.group(1), option)


def test_links_of_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target

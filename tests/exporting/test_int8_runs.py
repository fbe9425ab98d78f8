"""Runs whose limits hold in int8: the file, its certificate, its worth, the other precision."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

import easearch as ea
from easearch.cli import main
from easearch.exporting import Exported
from easearch.feed import DataFeed, data_of
from easearch.growth.training import evaluate

TINY = """
data: {name: fashion-mnist-mini, validation: 0.9, size: 14}
model:
  name: mobilenet_v1
  arguments: {layout: [[8, 1, 1], [8, 1, 2]], stem_channels: 8}
budget: {precision: int8, limits: {macs: 2x, latency: 20x}}
growth: {stages: [1.0], at: [0.5], images: 128, width_step: 4}
training: {epochs: 2, batch_size: 128}
threads: 1
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EASEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ea.Run:
    folder = tmp_path_factory.mktemp("int8")
    (folder / "tiny.yaml").write_text(TINY)
    return ea.grow(folder / "tiny.yaml", folder / "run")


def kinds(file: Path) -> set[str]:
    return {node.op_type for node in onnx.load(file).graph.node}


def test_the_certified_file_is_in_int8(run: ea.Run) -> None:
    assert "QuantizeLinear" in kinds(run.path / "model.onnx")
    certificate = json.loads((run.path / "certificate.json").read_text())
    assert certificate["precision"] == "int8"
    proofs = {proof.meter: proof for proof in run.certificate.proofs}
    assert run.certificate.meets
    assert proofs["macs"].measured == proofs["macs"].predicted
    assert proofs["latency"].measured


def test_what_the_file_is_worth_is_told(run: ea.Run) -> None:
    told = json.loads((run.path / "run.json").read_text())
    assert told["precision"] == "int8"
    recipe = ea.Recipe.load(run.path / "recipe.yaml")
    assert recipe.budget.precision == "int8"
    feed = DataFeed(dataset=data_of(recipe), recipe=recipe, device="cpu")
    found = evaluate(Exported(run.path / "model.onnx"), feed.test())
    assert told["test_exported"]["accuracy"] == found.accuracy
    assert told["test_exported"]["images"] == told["test"]["images"]
    assert 0 < told["agreement"] <= 1


def test_export_in_either_precision(
    run: ea.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    own = (folder / "model.onnx").read_bytes()
    assert main(["export", str(folder), "--precision", "fp32", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["report"]["precision"]) == (str(folder / "model-fp32.onnx"), "fp32")
    assert "QuantizeLinear" not in kinds(folder / "model-fp32.onnx")
    (folder / "model.onnx").unlink()
    assert main(["export", str(folder)]) == 0
    assert "int8" in capsys.readouterr().out
    assert (folder / "model.onnx").read_bytes() == own  # the same images calibrate it again


def test_export_without_the_runs_data(
    run: ea.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(run.path, folder)
    recipe = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(
        recipe.replace("name: fashion-mnist-mini", "name: cifar10").replace(
            "root: null", f"root: {tmp_path / 'nowhere'}"
        )
    )
    words = ["export", str(folder), "--precision", "int8"]
    assert main(words) == 1
    assert "nowhere" in capsys.readouterr().err
    (folder / "recipe.yaml").unlink()
    assert main(words) == 1
    assert "calibrated on training images" in capsys.readouterr().err
    assert main(["export", str(folder), "--precision", "int4"]) == 1
    assert "int4" in capsys.readouterr().err

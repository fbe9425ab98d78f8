"""round trip: save, load, same outputs; export, run in ONNX Runtime, same outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import CLASSES, SIZE, Plain, Tied, sample, trained
from safetensors.torch import load_file, save_file
from test_square import plans
from torch import nn

import easearch as ea
from easearch.errors import ExportError, FileFormatError
from easearch.growth.checkpoint import (
    ARCHITECTURE,
    WEIGHTS,
    Architecture,
    read_architecture,
    write,
)
from easearch.models import SEEDS

ARGUMENTS: dict[str, Any] = {
    "classes": CLASSES,
    "divisor": 4,
    "layout": [[8, 1, 1], [8, 2, 2]],
    "stem_channels": 8,
}
FACTORIES: dict[str, Callable[[], nn.Module]] = {"tied": Tied, "plain": Plain}


def seed_of(name: str) -> Architecture:
    arguments = {} if name in FACTORIES else ARGUMENTS
    return Architecture(factory=name, arguments=arguments, input=(1, SIZE, SIZE))


def grown(name: str, seed: int, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, ea.Graph]:
    """A network with statistics of its own, grown by random moves, and its graph."""
    model = trained(name) if name in FACTORIES else _seed(name)
    graph = ea.trace(model, sample())
    model = ea.apply(model, graph, plans(graph, seed))
    graph = ea.trace(model, sample())
    return model.to(dtype).eval(), graph


def _seed(name: str) -> nn.Module:
    torch.manual_seed(7)
    model = SEEDS[name](**ARGUMENTS).double().train()
    with torch.no_grad():
        for number in range(3):
            model(sample(8, number))
    return model


def outputs(model: nn.Module, dtype: torch.dtype) -> torch.Tensor:
    with torch.no_grad():
        return model(sample(5).to(dtype))


def saved(name: str, folder: Path, seed: int = 0) -> nn.Module:
    model, graph = grown(name, seed)
    write(model, seed_of(name).grown(graph), folder)
    return model


@pytest.mark.parametrize("name", [*SEEDS, *FACTORIES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_saved_and_loaded(name: str, dtype: torch.dtype, seed: int, tmp_path: Path) -> None:
    model, graph = grown(name, seed, dtype)
    write(model.train(), seed_of(name).grown(graph), tmp_path / "new" / "folder")
    loaded = ea.load(tmp_path / "new" / "folder", factory=FACTORIES.get(name))
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == [
        ARCHITECTURE,
        WEIGHTS,
    ]
    assert not any(module.training for module in loaded.modules())
    assert torch.equal(outputs(loaded, dtype), outputs(model.eval(), dtype))
    assert ea.trace(loaded, sample().to(dtype)) == graph
    assert {k: v.dtype for k, v in loaded.state_dict().items()} == {
        k: v.dtype for k, v in model.state_dict().items()
    }


@pytest.mark.parametrize("name", SEEDS)
def test_an_architecture_comes_back_equal(name: str, tmp_path: Path) -> None:
    model, graph = grown(name, 0)
    architecture = seed_of(name).grown(graph)
    write(model, architecture, tmp_path)
    found = read_architecture(tmp_path)
    assert found == replace(architecture, arguments=found.arguments)
    assert dict(found.arguments) == ARGUMENTS
    assert found.widths == graph.widths
    assert ea.trace(found.build(), found.sample()) == graph


def test_saving_over_an_older_network(tmp_path: Path) -> None:
    """What stands there is replaced whole; what cannot be written leaves it as it was."""
    saved("mobilenet_v1", tmp_path, seed=0)
    newer = saved("mobilenet_v1", tmp_path, seed=1)
    assert torch.equal(outputs(ea.load(tmp_path), torch.float64), outputs(newer, torch.float64))
    wrong = replace(seed_of("mobilenet_v1"), arguments={"classes": object()})
    with pytest.raises(FileFormatError, match="as JSON can hold them"):
        write(grown("mobilenet_v1", 2)[0], wrong, tmp_path)
    assert torch.equal(outputs(ea.load(tmp_path), torch.float64), outputs(newer, torch.float64))
    assert sorted(p.name for p in tmp_path.iterdir()) == [ARCHITECTURE, WEIGHTS]


def _weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return tamper


def _architecture(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        content = json.loads((folder / ARCHITECTURE).read_text())
        change(content)
        (folder / ARCHITECTURE).write_text(json.dumps(content))

    return tamper


def _cut(name: str, share: float) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return tamper


def _first(widths: dict[str, int]) -> str:
    """The first group that can grow: behind the network's input."""
    return list(widths)[1]


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing tensor": (_weights(lambda t: t.pop("stem.conv.weight")), "got absent"),
    "additional tensor": (_weights(lambda t: t.update(x=torch.zeros(1))), "absent, got"),
    "wrong shape": (
        _weights(lambda t: t.update({"stem.conv.weight": torch.zeros(2, 1, 3, 3)})),
        "expected stem.conv.weight of shape",
    ),
    "weights cut": (_cut(WEIGHTS, 0.7), "not a safetensors file"),
    "weights cut in the header": (_cut(WEIGHTS, 0.01), "not a safetensors file"),
    "weights empty": (_cut(WEIGHTS, 0.0), "not a safetensors file"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), f"expected {WEIGHTS}"),
    "no architecture": (lambda f: (f / ARCHITECTURE).unlink(), f"expected {ARCHITECTURE}"),
    "architecture cut": (_cut(ARCHITECTURE, 0.5), "is not an architecture"),
    "architecture empty": (_cut(ARCHITECTURE, 0.0), "is not an architecture"),
    "not JSON": (
        lambda f: (f / ARCHITECTURE).write_bytes(b"\x80\x04\x95"),  # type: ignore[dict-item]
        "is not an architecture",
    ),
    "a list": (
        lambda f: (f / ARCHITECTURE).write_text("[1]"),  # type: ignore[dict-item]
        "is not an architecture",
    ),
    "no input": (_architecture(lambda a: a.pop("input")), "is not an architecture"),
    "an input of text": (_architecture(lambda a: a.update(input="abc")), "is not an architecture"),
    "an empty input": (_architecture(lambda a: a.update(input=[])), "not describe a network"),
    "a negative input": (_architecture(lambda a: a.update(input=[1, -4, 4])), "got -4"),
    "a newer format": (_architecture(lambda a: a.update(format=99)), "format"),
    "unknown seed": (
        _architecture(lambda a: a.update(factory="mobilenet_v7")),
        "mobilenet_v",
    ),
    "unknown argument": (_architecture(lambda a: a["arguments"].update(depth=3)), "depth"),
    "other argument": (
        _architecture(lambda a: a["arguments"].update(layout=[[8, 1, 1]])),
        "no channel group",
    ),
    "unknown group": (_architecture(lambda a: a["widths"].update(nowhere=3)), "'nowhere'"),
    "negative width": (
        _architecture(lambda a: a["widths"].update({_first(a["widths"]): -3})),
        "got -3",
    ),
    "width zero": (_architecture(lambda a: a["widths"].update({_first(a["widths"]): 0})), "got 0"),
    "other width": (
        _architecture(lambda a: a["widths"].update({_first(a["widths"]): 5})),
        "are not of one network",
    ),
    "width of text": (
        _architecture(lambda a: a["widths"].update({_first(a["widths"]): "wide"})),
        "is not an architecture",
    ),
    "width of the input": (
        _architecture(lambda a: a["widths"].update(input=2)),
        "are not of one network",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_file_that_was_tampered_with_is_refused(case: str, tmp_path: Path) -> None:
    tamper, told = TAMPERED[case]
    saved("mobilenet_v1", tmp_path)
    tamper(tmp_path)
    with pytest.raises(FileFormatError) as caught:
        ea.load(tmp_path)
    assert told in str(caught.value)


EXPORTED = {
    "a grown residual network": ("mobilenet_v2", torch.contiguous_format),
    "a grown chain in channels last": ("mobilenet_v1", torch.channels_last),
}


@pytest.mark.parametrize("case", EXPORTED)
def test_exported_and_run(case: str, tmp_path: Path) -> None:
    name, layout = EXPORTED[case]
    model, _ = grown(name, 0, torch.float32)
    model.to(memory_format=layout)  # type: ignore[call-overload]
    file = tmp_path / "new" / "model.onnx"
    report = ea.export(model, sample(1).float(), file)
    assert [p.name for p in file.parent.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (1, 3, 8):
        x = sample(batch, batch).float()
        with torch.no_grad():
            expected = model(x).numpy()
        (got,) = session.run(None, {"input": x.numpy()})
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    assert report.difference <= 1e-4
    assert len(report.batch_sizes) == 3
    assert report.nbytes == file.stat().st_size
    operators = {node.op_type for node in onnx.load(file).graph.node}
    assert "Transpose" not in operators


class FixedBatch(nn.Module):
    """Its forward fixes the batch: what the sample had, every input must have."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.reshape(2, 4))


class Unwritable(FixedBatch):
    """It runs, and ONNX has no operator for what it computes: the writer itself fails."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.linalg.svdvals(x[:, :, None]) * x)


def test_a_fixed_batch_is_said(tmp_path: Path) -> None:
    found = ea.export(FixedBatch(), torch.zeros(2, 4), tmp_path / "model.onnx")
    assert found.batch_sizes == (2,)


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_text("the older file")
    with pytest.raises(ExportError, match="svd"):
        ea.export(Unwritable(), torch.zeros(2, 4), file)
    assert file.read_text() == "the older file"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]

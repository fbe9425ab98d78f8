"""A file in 8 bits computes nearly what the model does, or is not written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import easearch as ea
from easearch.budget.devices.host import this_host
from easearch.errors import ExportError
from easearch.exporting import quantize

SHAPE = (3, 8, 8)


def pictures(number: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(number, *SHAPE, generator=torch.Generator().manual_seed(seed))


def network(last: nn.Module | None = None) -> nn.Module:
    """Small, its norms settled."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, 2, groups=16),
            last or nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
        )
        with torch.no_grad():
            body(pictures(64))
    return body.eval()


def test_a_classifier(tmp_path: Path) -> None:
    model, file = network().train(), tmp_path / "new" / "model.onnx"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = [(pictures(16, seed), torch.zeros(16)) for seed in range(4)]
    report = ea.export(model, pictures(1), file, precision="int8", calibration=batches)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]
    assert (report.precision, report.samples, report.path) == ("int8", 64, file)
    assert report.nbytes == file.stat().st_size
    assert report.agreement is not None and report.agreement > 0.8
    assert report.error is not None and 1e-4 < report.error < 0.1
    model.eval()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (1, 3, 8):
        x = pictures(batch, 9)
        (got,) = session.run(None, {"input": x.numpy()})
        expected = model(x).detach().numpy()
        assert np.abs(got - expected).max() < 0.1 * np.abs(expected).max()


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    model, file, samples = network(), tmp_path / "model.onnx", pictures(40)
    report = ea.export(model, pictures(1), file, "int8", calibration=samples)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"input": samples.numpy()})
    expected = model(samples).detach().numpy()
    same = (got.argmax(1) == expected.argmax(1)).mean()
    assert report.agreement == pytest.approx(same)
    assert report.difference == pytest.approx(
        np.abs(got - expected).max() / np.abs(expected).max(), rel=1e-3
    )
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert report.error == pytest.approx(error, rel=1e-3)


def test_maps_have_no_classes(tmp_path: Path) -> None:
    model = network(nn.Conv2d(16, 4, 1))
    report = ea.export(model, pictures(1), tmp_path / "m.onnx", "int8", calibration=[pictures(8)])
    assert report.agreement is None
    assert report.error is not None and report.error < 0.1


@pytest.mark.parametrize(("instructions", "largest"), [(("avx2",), 64), ((), 127)])
def test_weights_leave_room_where_sums_overflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...], largest: int
) -> None:
    """Whatever this host is: the file's weights are as the host that it is told of needs them."""
    host = replace(this_host(), instructions=instructions)
    monkeypatch.setattr(quantize, "this_host", lambda: host)
    source, file = tmp_path / "model.onnx", tmp_path / "8.onnx"
    ea.export(network(), pictures(1), source)
    samples = quantize.Calibration(
        values={"input": pictures(40)}, free={"input": True}, sizes=(1, 2, 5)
    )
    quantize.quantize(source, file, samples)
    kept = [onnx.numpy_helper.to_array(one) for one in onnx.load(file).graph.initializer]
    weights = [one.astype(int) for one in kept if one.dtype == np.int8 and one.ndim > 1]
    assert len(weights) == 3
    assert max(int(np.abs(one).max()) for one in weights) == largest


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [(("avx2",), True), (("avx2", "avx512f"), True), (("avx2", "avx512_vnni"), False), ((), False)],
)
def test_x86_without_vnni_overflows(instructions: tuple[str, ...], expected: bool) -> None:
    assert quantize.overflows(replace(this_host(), instructions=instructions)) == expected


def test_samples_are_bounded(tmp_path: Path) -> None:
    def endless() -> Iterator[torch.Tensor]:
        for seed in itertools.count():
            yield pictures(100, seed)

    report = ea.export(network(), pictures(1), tmp_path / "m.onnx", "int8", calibration=endless())
    assert report.samples == 512


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no calibration": ({}, "expected calibration samples, got none"),
    "no batches": ({"calibration": []}, "expected batches, got none"),
    "no iterable": ({"calibration": 5}, "expected batches of .* got a int"),
    "an empty batch": ({"calibration": [pictures(0)]}, "expected batches, got none"),
    "another size": ({"calibration": [torch.zeros(2, 3, 4, 4)]}, r"got a tensor \(2, 3, 4, 4\)"),
    "no tensor": ({"calibration": [np.zeros((2, 3, 8, 8))]}, "got a ndarray"),
    "a sample alone": ({"calibration": [pictures(1)[0]]}, r"tensor \(N, 3, 8, 8\)"),
    "several inputs": (
        {"calibration": [((pictures(1), pictures(1)), torch.zeros(1))]},
        "got a tuple of 0 .*, 1 ",
    ),
    "not finite": ({"calibration": [pictures(2) / 0]}, "expected finite numbers"),
    "unknown precision": ({"precision": "int88"}, "did you mean 'int8'"),
    "two samples": (
        {"sample": (pictures(1), pictures(1)), "precision": "fp32"},
        "expected inputs as",
    ),
    "too coarse": ({"calibration": [pictures(8)], "tolerance": 1e-9}, "within 1e-09"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_what_was_there(case: str, tmp_path: Path) -> None:
    changes, told = REFUSED[case]
    file = tmp_path / "model.onnx"
    file.write_text("the older file")
    given = {"sample": pictures(1), "precision": "int8", **changes}
    with pytest.raises(ExportError, match=told):
        ea.export(network(nn.Conv2d(16, 4, 1)), path=file, **given)
    assert file.read_text() == "the older file"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


class Doubtful(nn.Module):
    """Nearly the same score for every class: rounding changes the class, not the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 50 + 1e-3 * self.body(x)


class Steep(nn.Module):
    """An outlier takes all of the range: what is left for the rest is one level."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.conv.bias[0] = 1e6
            self.last.weight[:, 0] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(x))


def test_doubt_is_no_harm_and_ruin_is_refused(tmp_path: Path) -> None:
    def written(make: Callable[[], nn.Module], **more: Any) -> Any:
        file = tmp_path / "model.onnx"
        return ea.export(make(), pictures(1), file, "int8", calibration=[pictures(32)], **more)

    report = written(Doubtful)
    assert report.agreement < 0.5 and report.error < 0.01
    with pytest.raises(ExportError, match="relative error"):
        written(Steep)
    assert written(Steep, tolerance=math.inf).error > 0.5

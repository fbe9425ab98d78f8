"""Files of networks with inputs and outputs of any structure: named, and compared one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from structured import CASES, Case, Gives, ids, made, mask
from torch import Tensor, nn

import easearch as ea
from easearch.errors import EasearchError, ExportError
from easearch.exporting import Exported
from easearch.exporting.parity import Parity
from easearch.exporting.subject import subject
from easearch.structures import call, mapped, named

FIXED = {"a batch of four alone": 4, "a single sample alone": 1}


def single(value: Any) -> Any:
    return mapped(lambda x: x.float() if x.is_floating_point() else x, value)


def answers(file: Path, case: Case, sample: Any) -> dict[str, np.ndarray[Any, Any]]:
    """What the file gives for a sample, fed by the names of the case."""
    values = list(named(sample).values())
    if isinstance(sample, dict):
        values = [sample[name] for name in case.inputs]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(case.inputs)
    assert [value.name for value in session.get_outputs()] == list(case.outputs)
    got = session.run(None, {n: v.numpy() for n, v in zip(case.inputs, values, strict=True)})
    return dict(zip(case.outputs, got, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_names_and_batch_sizes(name: str) -> None:
    case = CASES[name]
    model, state = made(case).train(), torch.get_rng_state()
    found = subject(model, case.sample())
    assert (found.inputs, found.outputs) == (case.inputs, case.outputs)
    assert found.sizes == ((FIXED[name],) if name in FIXED else (1, 2, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and "forward" not in vars(model)


@pytest.mark.parametrize("name", ("a flag beside it", "a keyword-only input", *FIXED))
def test_a_file_gives_every_output_by_name(name: str, tmp_path: Path) -> None:
    case, file = CASES[name], tmp_path / "model.onnx"
    model, sample = made(case).train(), single(case.sample())
    state = torch.get_rng_state()
    report = ea.export(model, case.sample(), file)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and "forward" not in vars(model)
    assert report.inputs == case.inputs and report.outputs == case.outputs
    assert report.batch_sizes == ((FIXED[name],) if name in FIXED else (1, 2, 5))
    got = answers(file, case, sample)
    expected = named(call(model.float().eval(), sample))
    for one, (path, other) in zip(got.values(), expected.items(), strict=True):
        assert np.allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-5), path
    dims = [value.type.tensor_type.shape.dim[0] for value in onnx.load(file).graph.input]
    assert all(bool(dim.dim_param) == (name not in FIXED) for dim in dims)
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    import os

    found = os.umask(0)
    os.umask(found)
    return found


def test_in_eight_bits_too(tmp_path: Path) -> None:
    """Tokens and a mask in, scores and classes and booleans out."""
    case, file = CASES["tokens and a mask"], tmp_path / "model.onnx"
    model, sample = Judged(made(case)).eval(), case.sample()
    batches = [(sample, torch.zeros(6)), sample]
    report = ea.export(model, sample, file, "int8", calibration=batches)
    assert report.samples == 12
    assert report.error is not None and report.error < 0.2
    assert report.agreement is not None and report.agreement > 0.5
    assert report.outputs == ("scores", "classes", "sure")
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(file).graph.node)


class Judged(nn.Module):
    """Scores with what is decided on them."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        scores = self.inner(ids, mask)
        return {"scores": scores, "classes": scores.argmax(1), "sure": scores > -9}


def test_a_file_as_a_model(tmp_path: Path) -> None:
    case, file = CASES["tokens and a mask"], tmp_path / "model.onnx"
    model = made(case).float()
    ea.export(model, case.sample(), file)
    exported = Exported(file)
    expected = model(ids(), mask())
    assert torch.allclose(exported(ids(), mask()), expected, atol=1e-5)
    assert torch.allclose(call(exported, {"mask": mask(), "ids": ids()}), expected, atol=1e-5)
    with pytest.raises(ExportError, match="inputs ids, mask"):
        exported(ids())


def gives(give: Callable[[Tensor, Tensor], Any]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gives(give).eval()


ODD: dict[str, tuple[Callable[[Tensor, Tensor], Any], tuple[str, ...]]] = {
    "the same tensor twice": (lambda o, h: (o, o), ("output_0", "output_1")),
    "names of an input and of weights": (
        lambda o, h: {"x": o, "body.weight": h, "input": h + 1},
        ("x", "body.weight", "output_input"),
    ),
    "names with dots and spaces": (lambda o, h: {"a b.c": o, "é": h}, ("a b.c", "é")),
    "names of inner values": (
        lambda o, h: {"tanh": o, "linear": h, "linear_1": h * 2},
        ("tanh", "linear", "linear_1"),
    ),
    "None among them": (lambda o, h: (o, None, h), ("output_0", "output_2")),
    "a list in a dict": (lambda o, h: {"a": [o, {"b": h}]}, ("a.0", "a.1.b")),
    "a scalar": (lambda o, h: {"out": o, "mean": o.mean()}, ("out", "mean")),
    "samples not first": (lambda o, h: o.t(), ("output",)),
    "a weight": (lambda o, h: (o, torch.ones(3)), ("output_0", "output_1")),
    "a number beside it": (lambda o, h: {"out": o, "size": o.shape[0]}, ("out",)),
    "names that meet": (lambda o, h: {"a": {"b": o}, "a.b": h}, ("a.b", "a.b_2")),
    "numbers as names": (lambda o, h: {0: o, "0": h}, ("output_0", "output_0_2")),
}


@pytest.mark.parametrize("name", ODD)
def test_names_of_odd_outputs(name: str) -> None:
    give, names = ODD[name]
    found = subject(gives(give), torch.randn(3, 5, generator=torch.Generator()))
    assert found.outputs == names


def test_odd_outputs(tmp_path: Path) -> None:
    """All but those that are no dict, in one file: names meet those of inputs and inner values."""
    tries = [ODD[name][0] for name in ("names of an input and of weights", "names of inner values")]

    def give(o: Tensor, h: Tensor) -> dict[str, Any]:
        odd = {"twice": [o, o], "none": None, "a b.c": o.t(), "mean": o.mean(), "n": o.shape[0]}
        return {**tries[0](o, h), **tries[1](o, h), **odd, "weight": torch.ones(3)}

    model, x = gives(give), torch.randn(3, 5)
    report = ea.export(model, x, tmp_path / "m.onnx")
    got = Exported(tmp_path / "m.onnx").named({"input": x})
    assert tuple(got) == report.outputs
    for one, other in zip(got.values(), named(model(x)).values(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


class Passes(nn.Module):
    """An output that is the input, and an input that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 4)

    def forward(self, x: Tensor, unused: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.a(x), x


def test_an_output_that_is_an_input(tmp_path: Path) -> None:
    x = torch.randn(3, 5)
    ea.export(Passes().eval(), {"x": x}, tmp_path / "m.onnx")
    got = Exported(tmp_path / "m.onnx")(x)
    assert isinstance(got, dict) and torch.equal(got["output_1"], x)


def test_a_last_layer_of_zeros_is_proven_on_other_numbers(tmp_path: Path) -> None:
    model = gives(lambda o, h: o)
    nn.init.zeros_(model.head.weight)  # type: ignore[arg-type, union-attr]
    nn.init.zeros_(model.head.bias)  # type: ignore[arg-type, union-attr]
    report = ea.export(model, torch.randn(3, 5), tmp_path / "m.onnx")
    assert 0 < report.difference < 1e-4
    assert not Exported(tmp_path / "m.onnx")(torch.randn(2, 5)).any()


def test_probabilities_are_not_tried_on_negative_numbers() -> None:
    """Random inputs of which the model makes NaN are replaced by rows of the sample."""
    x = torch.rand(3, 5) + 0.1
    found = subject(Logs().eval(), x)
    assert found.sizes == (1, 2, 5)
    for (values,), outputs in found.checks:
        assert all(any(torch.equal(row, one) for one in x) for row in values)
        assert np.isfinite(outputs["output"]).all()


class Logs(nn.Module):
    """Of numbers below zero there is no logarithm."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x.log())


ACCIDENTS: dict[str, tuple[Callable[[Tensor, Tensor], Any], str]] = {
    "NaN": (lambda o, h: o * float("nan"), "expected finite numbers in 'output'"),
    "infinite": (lambda o, h: {"out": o, "far": h / 0}, "expected finite numbers in 'far'"),
    "empty": (lambda o, h: (o, h[:, :0]), "which is empty"),
    "zeros alone": (lambda o, h: o * 0, "zeros alone"),
    "no tensor": (lambda o, h: {"n": None}, "gives tensors"),
    "random": (lambda o, h: o + torch.randn_like(o), "random"),
    "an object": (lambda o, h: {o.shape[0], 3}, "got a set"),
    "a median": (lambda o, h: o.median(1)[0], r"aten\.median\.dim"),
}


@pytest.mark.parametrize("name", ACCIDENTS)
def test_what_proves_nothing_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    give, said = ACCIDENTS[name]
    state = torch.get_rng_state()
    with pytest.raises(ExportError, match=said) as caught:
        ea.export(gives(give), torch.randn(3, 5, generator=torch.Generator()), tmp_path / "m.onnx")
    assert torch.equal(torch.get_rng_state(), state)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ONES = np.ones((2, 3), np.float32)
WRONG: dict[str, tuple[Any, Any, str]] = {
    "NaN in the file": (ONES, ONES * np.nan, "from the file"),
    "infinity in the file": (ONES, ONES / np.float32(0), "from the file"),
    "infinity in both": (ONES / np.float32(0), ONES / np.float32(0), "model itself"),
    "NaN in both": (ONES * np.nan, ONES * np.nan, "model itself"),
    "another shape": (ONES, ONES.T, "of shape"),
    "another rank": (ONES, ONES[None], "of shape"),
    "empty": (ONES[:0], ONES[:0], "empty"),
    "whole for floating": (ONES, ONES.astype(np.int64), "floating numbers"),
    "boolean for whole": (ONES.astype(np.int64), ONES > 0, "whole numbers"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", WRONG)
def test_a_comparison_cannot_pass_by_accident(name: str) -> None:
    ours, theirs, said = WRONG[name]
    with pytest.raises(ExportError, match=said):
        Parity().compare({"a": ours}, {"a": theirs})


def test_another_number_of_outputs_is_refused() -> None:
    with pytest.raises(ExportError, match=r"2 outputs \(a, b\), got 1"):
        Parity().compare({"a": ONES, "b": ONES}, {"a": ONES})


def test_differences_are_relative_to_each_output() -> None:
    found = Parity()
    found.compare({"a": ONES * 1000, "b": ONES}, {"a": ONES * 1000, "b": ONES * 1.01})
    assert found.difference == pytest.approx(0.01, rel=1e-3)
    zeros = Parity()
    zeros.compare({"a": ONES * 0}, {"a": ONES * 1e-9})
    assert zeros.difference == float("inf") and not zeros.proves
    whole = Parity()
    many = np.arange(10_000)
    whole.compare({"a": many}, {"a": np.where(many < 5, 0, many)})
    assert whole.difference == 0 and whole.proves
    whole.compare({"a": many}, {"a": many + (many < 50)})
    assert whole.difference == float("inf")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="expected the path of a file, got the folder"):
        ea.export(gives(lambda o, h: o), torch.randn(3, 5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(EasearchError, match="cannot write"):
        ea.export(gives(lambda o, h: o), torch.randn(3, 5), tmp_path / "file" / "m.onnx")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"

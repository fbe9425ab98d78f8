"""Checkpoints: networks of users' own, and folders that come from strangers."""

from __future__ import annotations

import json
import os
import resource
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import SIZE, Plain, Tied, sample
from safetensors.torch import load_file, save_file
from structured import CASES, made
from torch import Tensor, nn

import easearch as ea
from easearch.errors import EasearchError, FileFormatError, GraphError
from easearch.growth.checkpoint import (
    ARCHITECTURE,
    WEIGHTS,
    Architecture,
    read_architecture,
    write,
)
from easearch.models import mobilenet_v1
from easearch.structures import call, named

SMALL: dict[str, Any] = {"classes": 5, "layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8}


class Shared(nn.Module):
    """Two layers over one weight, as encoders and decoders have them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.relu(self.one(x)))


def test_layers_that_share_a_weight_share_it_again(tmp_path: Path) -> None:
    model = Shared()
    write(model, Architecture(factory="shared", input=(4,)), tmp_path)
    loaded = ea.load(tmp_path, factory=Shared)
    x = torch.randn(3, 4)
    assert torch.equal(loaded(x), model(x))
    assert loaded.one.weight is loaded.two.weight


def test_a_network_of_ones_own_needs_its_factory(tmp_path: Path) -> None:
    model = Plain().eval()
    write(model, Architecture(factory="plain", input=(1, SIZE, SIZE)), tmp_path)
    with pytest.raises(FileFormatError, match="'plain'"):
        ea.load(tmp_path)
    x = sample().float()
    assert torch.equal(ea.load(tmp_path, factory=Plain)(x), model(x))
    with pytest.raises(FileFormatError, match="does not describe a network"):
        ea.load(tmp_path, factory=lambda: nn.Linear(3, 3))


def test_a_saved_network_is_a_copy(tmp_path: Path) -> None:
    model = Plain().eval()
    architecture = Architecture(factory="plain", input=(1, SIZE, SIZE))
    expected = model(sample().float())
    write(model, architecture, tmp_path)
    with torch.no_grad():
        model.head.weight.zero_()
    loaded = ea.load(tmp_path, factory=Plain)
    assert torch.equal(loaded(sample().float()), expected)


def grown_by_hand() -> tuple[nn.Module, ea.Graph]:
    model = Plain().eval()
    graph = ea.trace(model, sample().float())
    moves = [ea.Split(group=group.name, channel=1) for group in graph.growable]
    return ea.apply(model, graph, moves), graph.after(moves)


def test_saved_by_hand_and_loaded(tmp_path: Path) -> None:
    """What `ea.save` writes, `ea.load` builds: by function, by import path, by a seed's name."""
    model, graph = grown_by_hand()
    x = sample().float()
    state = torch.get_rng_state()
    ea.save(model, tmp_path / "own", sample=x, factory=Plain)
    assert torch.equal(state, torch.get_rng_state())
    architecture = read_architecture(tmp_path / "own")
    assert architecture.factory == "networks:Plain"
    assert architecture.widths == graph.widths
    for factory in (Plain, "networks:Plain"):
        assert torch.equal(ea.load(tmp_path / "own", factory=factory)(x), model(x))
    ea.save(model, tmp_path / "local", sample=x, factory=lambda: Plain())
    assert read_architecture(tmp_path / "local").factory == ""
    ea.save(model, tmp_path / "unknown", sample=x)
    for name in ("local", "unknown"):
        with pytest.raises(FileFormatError, match=r"ea\.load\(path, factory="):
            ea.load(tmp_path / name)
        assert torch.equal(ea.load(tmp_path / name, factory=Plain)(x), model(x))
    seed = mobilenet_v1(**SMALL).eval()
    for factory in (mobilenet_v1, "mobilenet_v1"):
        ea.save(seed, tmp_path / "seed", sample=x, factory=factory, arguments=SMALL)
        assert read_architecture(tmp_path / "seed").factory == "mobilenet_v1"
        assert torch.equal(ea.load(tmp_path / "seed")(x), seed(x))


def test_what_cannot_be_loaded_again_is_not_saved(tmp_path: Path) -> None:
    model, _ = grown_by_hand()
    x = sample().float()
    place = tmp_path / "net"
    with pytest.raises(FileFormatError, match="no channel group"):
        ea.save(model, place, sample=x, factory=Tied)
    with pytest.raises(FileFormatError, match="failed with TypeError"):
        ea.save(model, place, sample=x, factory=Plain, arguments={"width": 3})
    with pytest.raises(FileFormatError, match="as JSON can hold them"):
        ea.save(model, place, sample=x, arguments={"act": nn.ReLU})
    with pytest.raises(GraphError, match="at least one tensor, got an empty tuple"):
        ea.save(model, place, sample=(None,))
    with pytest.raises(GraphError, match="expected package"):
        ea.save(model, place, sample=x, factory="plain")
    biased = Plain()
    biased.register_buffer("more", torch.zeros(2))
    with pytest.raises(FileFormatError, match=r"does not build this network again: .*|.* more "):
        ea.save(biased, place, sample=x, factory=Plain)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_stranger_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os:system` with arguments would run a command."""
    (tmp_path / "evil_of_a_stranger.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    model, _ = grown_by_hand()
    for path, arguments in (
        ("os:system", {"command": f"touch {tmp_path / 'ran'}"}),
        ("evil_of_a_stranger:net", {}),
    ):
        architecture = Architecture(factory=path, arguments=arguments, input=(1, SIZE, SIZE))
        write(model, architecture, tmp_path / "net")
        with pytest.raises(FileFormatError) as caught:
            ea.load(tmp_path / "net")
        assert path in str(caught.value)
        assert "ea.load(path, factory=that_function)" in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert "evil_of_a_stranger" not in sys.modules


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    model, _ = grown_by_hand()
    outside, folder = tmp_path / "outside", tmp_path / "net"
    ea.save(model, folder, sample=sample().float())
    for name in (ARCHITECTURE, WEIGHTS):
        outside.mkdir(exist_ok=True)
        (folder / name).replace(outside / name)
        (folder / name).symlink_to(outside / name)
        with pytest.raises(FileFormatError, match="got a link to"):
            ea.load(folder, factory=Plain)
        (folder / name).unlink()
        (outside / name).replace(folder / name)
    # a link to the folder as a whole, and one within it, are the user's own business
    (tmp_path / "link").symlink_to(folder)
    (folder / WEIGHTS).replace(folder / "other")
    (folder / WEIGHTS).symlink_to("other")
    ea.load(tmp_path / "link", factory=Plain)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    model, _ = grown_by_hand()
    for name in (ARCHITECTURE, WEIGHTS):
        ea.save(model, tmp_path / name, sample=sample().float())
        (tmp_path / name / name).unlink()
        os.mkfifo(tmp_path / name / name)  # reading it would wait for ever
        with pytest.raises(FileFormatError, match="to be a file"):
            ea.load(tmp_path / name, factory=Plain)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    model, _ = grown_by_hand()
    ea.save(model, tmp_path, sample=sample().float())
    torch.save(model.state_dict(), tmp_path / WEIGHTS)
    with pytest.raises(FileFormatError, match="not a safetensors file"):
        ea.load(tmp_path, factory=Plain)


def change(folder: Path, **values: Any) -> None:
    content = json.loads((folder / ARCHITECTURE).read_text())
    for name, value in values.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) else value
    (folder / ARCHITECTURE).write_text(json.dumps(content))


def _memory(tmp_path: Path, **values: Any) -> tuple[str, int]:
    """What loading a changed seed says, and the most memory that it took, in bytes."""
    seed = mobilenet_v1(**SMALL)
    ea.save(seed, tmp_path, sample=sample().float(), factory=mobilenet_v1, arguments=SMALL)
    change(tmp_path, **values)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with pytest.raises(FileFormatError) as caught:
            ea.load(tmp_path)
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return str(caught.value), max(taken, python)


@pytest.mark.parametrize("width", [2_000, 100_000, 10**9, 10**18])
def test_absurd_widths_are_refused_before_they_take_memory(width: int, tmp_path: Path) -> None:
    told, taken = _memory(tmp_path, widths={"stem.conv": width})
    assert "not of one network" in told
    assert taken < 2**26, told


def test_widths_that_fit_each_layer_but_not_the_file(tmp_path: Path) -> None:
    told, taken = _memory(tmp_path, widths={"blocks.0.pointwise.conv": 20})
    assert "of shape" in told and "not of one network" in told
    assert taken < 2**26


@pytest.mark.parametrize(
    "arguments", [{"width": 1e6}, {"layout": [[8, 10**6, 1]]}, {"stem_channels": 10**12}]
)
def test_absurd_arguments_are_stopped(arguments: dict[str, Any], tmp_path: Path) -> None:
    told, taken = _memory(tmp_path, arguments=arguments)
    assert "not of one network" in told or "at most" in told
    assert taken < 2**29


def test_an_absurd_input_is_refused(tmp_path: Path) -> None:
    told, taken = _memory(tmp_path, input=[1, 10**6, 10**6])
    assert "expected an input of" in told
    assert taken < 2**26


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "is not an architecture"),
        ('{"format": 1, "factory": 3, "input": [1]}', "factory: expected text, got '3'"),
        ('{"format": 1, "factory": "", "input": [1.5]}', "input: expected a whole number"),
        ('{"format": 1, "factory": "", "input": [true]}', "input: expected a whole number"),
        ('{"format": 1, "factory": "", "input": [NaN]}', "expected finite numbers"),
        ('{"format": 1, "factory": "", "input": [1], "widths": []}', "widths: expected names"),
        ('{"format": 1, "factory": "", "input": [1], "widths": {"a": "2"}}', "widths: expected a"),
        ('{"format": 1, "factory": "", "input": [1], "arguments": 1}', "arguments: expected names"),
        ('{"format": 1, "factory": "", "input": [1], "width": {}}', "did you mean 'widths'"),
        ('{"factory": "", "input": [1]}', "'format' is missing"),
        ('{"format": 1, "input": [1]}', "'factory' is missing"),
    ],
)
def test_an_architecture_of_wrong_types(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / ARCHITECTURE).write_text(text)
    with pytest.raises(FileFormatError) as caught:
        ea.load(tmp_path, factory=Plain)
    assert said in str(caught.value)
    assert ARCHITECTURE in str(caught.value)


def test_a_field_that_is_missing_keeps_its_default(tmp_path: Path) -> None:
    """Files of before a field was born can be read."""
    (tmp_path / ARCHITECTURE).write_text('{"format": 1, "factory": "x", "input": [1, 2]}')
    assert read_architecture(tmp_path) == Architecture(factory="x", input=(1, 2))


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    model, _ = grown_by_hand()
    ea.save(model, tmp_path, sample=sample().float())
    tensors = load_file(tmp_path / WEIGHTS)
    tensors["one.weight"] = tensors["one.weight"].to(torch.int32)
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(FileFormatError, match=r"expected one\.weight of torch\.float32, got"):
        ea.load(tmp_path, factory=Plain)


@pytest.mark.parametrize("case", CASES)
def test_samples_of_any_structure(case: str, tmp_path: Path) -> None:
    """Grown, saved and loaded: the same outputs, and a sample of the same structure."""
    seed, given = made(CASES[case]), CASES[case].sample()
    graph = ea.trace(seed, given)
    model = ea.apply(seed, graph, [ea.Split(group=graph.growable[0].name, channel=0)])
    ea.save(model, tmp_path, sample=given)
    loaded = ea.load(tmp_path, factory=CASES[case].make)
    expected, got = call(model, given), call(loaded, given)
    assert list(named(got)) == list(named(expected))
    for one, other in zip(named(got).values(), named(expected).values(), strict=True):
        assert torch.equal(one, other)
    again = read_architecture(tmp_path).sample()
    for one, other in zip(named(again).values(), named(given).values(), strict=True):
        assert one.shape[1:] == other.shape[1:]
        assert one.is_floating_point() == other.is_floating_point()
        if not one.is_floating_point():
            assert one.min() >= other.min() and one.max() <= other.max()
    rights = {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
    assert {one.name for one in tmp_path.iterdir()} == {ARCHITECTURE, WEIGHTS}
    assert rights == {0o666 & ~umask()}


def umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_of_numbers_are_kept_one_by_one(dtype: torch.dtype, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(dtype).eval()
    model[1].float()
    write(model, Architecture(factory="", input=(3,)), tmp_path)
    loaded = ea.load(
        tmp_path,
        factory=lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    )
    for name, tensor in model.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(loaded.state_dict()[name], tensor)


def dropping(width: int, rate: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(rate), nn.Linear(width, 2))


def test_a_factory_takes_other_arguments_at_loading(tmp_path: Path) -> None:
    x = torch.ones(2, 3)
    model = dropping(4)
    ea.save(model, tmp_path, sample=x, factory=dropping, arguments={"width": 4})
    loaded = ea.load(tmp_path, factory=dropping, arguments={"rate": 0.5})
    assert loaded[2].p == 0.5
    assert torch.equal(loaded(x), model.eval()(x))
    wider = ea.load(tmp_path, factory=dropping, arguments={"width": 2})  # grown to what was saved
    assert torch.equal(wider(x), model(x))
    with pytest.raises(FileFormatError, match="unexpected keyword argument 'rates'"):
        ea.load(tmp_path, factory=dropping, arguments={"rates": 0.5})


FORMS: dict[str, tuple[Any, str]] = {
    "much too large": ({"shape": [10**6, 10**6], "dtype": "int8"}, "numbers at most"),
    "many that are large": (
        {"tuple": [{"shape": [2**23], "dtype": "int8"}] * 3},
        "numbers at most",
    ),
    "very many": ({"tuple": [{"shape": [1], "dtype": "int8"}] * 1000}, "256 tensors"),
    "an unknown type": ({"shape": [1], "dtype": "flaot32"}, "float32"),
    "a type of something else": ({"shape": [1], "dtype": "nn"}, "type of numbers"),
    "negative": ({"shape": [-1], "dtype": "int8"}, "a shape of whole numbers"),
    "a huge range": ({"shape": [1], "dtype": "int8", "range": [0, 2**70]}, "range"),
    "a range backwards": ({"shape": [1], "dtype": "int8", "range": [2, 1]}, "from less to more"),
    "no tensor": ({"tuple": []}, "at least one tensor"),
    "another field": ({"shape": [1], "dtype": "int8", "code": "x"}, "fields"),
    "no form": ([1, 2], "the form of a sample"),
    "a mapping for a list": (
        {"list": {"a": {"shape": [1], "dtype": "int8"}}},
        "what is in a list",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_that_a_stranger_wrote(case: str, tmp_path: Path) -> None:
    form, said = FORMS[case]
    ea.save(dropping(4), tmp_path, sample=torch.ones(2, 3))
    content = json.loads((tmp_path / ARCHITECTURE).read_text())
    (tmp_path / ARCHITECTURE).write_text(json.dumps({**content, "form": form}))
    with pytest.raises(FileFormatError, match=said) as caught:
        ea.load(tmp_path, factory=lambda: dropping(4))
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "new" / ("x" * 300)):
        with pytest.raises(EasearchError, match="cannot write"):
            ea.save(dropping(4), place, sample=torch.ones(2, 3))
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"

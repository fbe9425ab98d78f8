"""Plain torch as a runtime computes what ONNX Runtime does, and is a device like any other."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs
from onnx import TensorProto, helper, numpy_helper
from single_operators import REFUSED, SINGLE, real
from test_onnx_models import LAYERS, LINE, MAP, First, Written
from torch import nn

from easearch.budget import find_device, measure
from easearch.budget.devices import torch_program
from easearch.budget.devices.host import Host
from easearch.budget.devices.profile import HostPart, Profile
from easearch.budget.devices.runner import open_session, random_inputs
from easearch.budget.devices.torch_operators import RULES, Node, Rule
from easearch.budget.devices.torch_program import Program
from easearch.budget.devices.torch_runtime import Torch, torch_device, torch_host
from easearch.budget.latency.models import item_model, whole_model
from easearch.errors import DeviceError
from easearch.exporting import export
from easearch.graph import Graph, Shape
from easearch.tracing import trace
from easearch.tracing.kinds.activation import FUNCTIONS
from easearch.tracing.walk import OPAQUE

CPU = torch.device("cpu")
EXPORTED = FAMILIES["unet"]
SAMPLE = (1, *EXPORTED.shape)
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def agrees(
    model: bytes | str, sample: Sequence[int] | None = None, device: torch.device = CPU
) -> None:
    session = open_session(model)
    expected = session.run(None, random_inputs(session, sample))
    with torch.inference_mode():
        outputs = [value.cpu().numpy() for value in Program(model, device, sample).run()]
    for found, wanted in zip(outputs, expected, strict=True):
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        finite = wanted[np.isfinite(wanted)]
        scale = np.abs(finite).max() if finite.size else 1
        assert np.allclose(found, wanted, rtol=0, atol=1e-4 * scale, equal_nan=True)


# --- what easearch writes


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_networks(family: str) -> None:
    graph = trace(FAMILIES[family].build().double(), inputs(FAMILIES[family], 1))
    if any(layer.kind == OPAQUE for layer in graph.layers):
        pytest.skip("easearch cannot follow it")
    agrees(whole_model(graph))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_function(function: Any) -> None:
    options = (("function", function.name), *function.defaults.items())
    shape = Shape(
        kind="activation",
        in_channels=6,
        out_channels=6,
        in_size=(8, 8),
        out_size=(8, 8),
        options=tuple(sorted(options)),
    )
    agrees(item_model((shape,)))


SPELLED: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    **LAYERS,
    **{
        f"{name} over positions": (Written(lambda x, name=name: getattr(x, name)((2, 3))), MAP)
        for name in ("mean", "sum", "amax", "amin", "logsumexp", "std", "var")
    },
    "product": (Written(lambda x: x.prod(3)), MAP),
    "norm": (Written(lambda x: torch.linalg.vector_norm(x, 2, (2, 3), keepdim=True)), MAP),
    "gelu of tanh": (nn.GELU("tanh"), MAP),
    "bicubic": (Written(lambda x: F.interpolate(x, (13, 5), mode="bicubic")), MAP),
    "corners": (nn.UpsamplingBilinear2d(scale_factor=2), MAP),
    "nearest": (Written(lambda x: F.interpolate(x, (13, 5))), MAP),
    "nearest exact": (Written(lambda x: F.interpolate(x, (13, 5), mode="nearest-exact")), MAP),
    "lines": (nn.Upsample(scale_factor=2, mode="linear"), (1, 6, 9)),
    "lstm both ways": (First(nn.LSTM(9, 4, 2, bidirectional=True, batch_first=True)), LINE),
    "reflect": (nn.ReflectionPad2d((1, 2, 3, 0)), MAP),
    "replicate": (nn.ReplicationPad1d(2), (1, 6, 9)),
    "circular": (nn.CircularPad2d(1), MAP),
    "cut": (nn.ZeroPad2d(-1), MAP),
    "adaptive": (nn.AdaptiveMaxPool2d(3), MAP),
    "unpadded average": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), MAP),
}


@cache
def spelled(layer: str) -> bytes:
    module, size = SPELLED[layer]
    return whole_model(trace(nn.Sequential(module).eval(), torch.zeros(size)))


@pytest.mark.parametrize("layer", SPELLED)
def test_every_kind_of_layer(layer: str) -> None:
    agrees(spelled(layer))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(EXPORTED.build().eval(), torch.zeros(SAMPLE), path)
    return path


def test_an_exported_file(exported: Path) -> None:
    agrees(str(exported), SAMPLE)


@pytest.mark.parametrize("case", SINGLE)
def test_single_operators(case: str) -> None:
    agrees(SINGLE[case])


def test_every_rule_was_tried(exported: Path) -> None:
    models = [*SINGLE.values(), *map(spelled, SPELLED), exported.read_bytes()]
    tried = {node.op_type for one in models for node in onnx.load_from_string(one).graph.node}
    functions = {
        op.type for function in FUNCTIONS for op in function.exported(dict(function.defaults))
    }
    assert set(RULES) - tried - functions == set()


# --- how it runs


def test_values_are_let_go_after_their_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def relu(x: torch.Tensor) -> torch.Tensor:
        nonlocal most
        made = F.relu(x)
        alive.append(weakref.ref(made))
        most = max(most, sum(one() is not None for one in alive))
        return made

    monkeypatch.setitem(RULES, "Relu", Rule(make=lambda _: relu))
    chain = nn.Sequential(*(nn.ReLU() for _ in range(6)))
    with torch.inference_mode():
        program = Program(whole_model(trace(chain, torch.zeros(1, 4))), CPU)
        alive.clear()
        most = 0
        first = program.run()
        assert most == 2
        assert torch.equal(first[0], program.run()[0])


def test_what_is_known_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(name: str, rule: Rule) -> Rule:
        def make(node: Node) -> Any:
            function = rule.make(node)

            def run(*values: Any) -> Any:
                calls.append(name)
                return function(*values)

            return run

        return replace(rule, make=make)

    for name in ("Shape", "Reshape"):
        monkeypatch.setitem(RULES, name, counted(name, RULES[name]))
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Reshape", ["w", "s"], ["v"]),
        helper.make_node("Add", ["x", "v"], ["y"]),
    ]
    sizes = ["batch", 3]
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(real(1, 2, 3), "w")],
    )
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    with torch.inference_mode():
        program = Program(model, CPU)
        program.run()
    assert calls == ["Shape", "Reshape"]
    agrees(model)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("cold", [False, True])
def test_timing_leaves_torch_as_it_was(
    small: Graph, two_threads: None, cold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: set[tuple[int, bool]] = set()
    watched = torch_program.Program.run

    def run(self: Program) -> list[torch.Tensor]:
        used.add((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return watched(self)

    monkeypatch.setattr(torch_program.Program, "run", run)
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    models = [whole_model(small), whole_model(small, seed=1)]
    timings = Torch(provider="cpu").time(models, rounds=3, sessions=2, cold=cold)
    assert used == {(1, True)}
    assert torch.get_num_threads() == 2
    assert not torch.is_inference_mode_enabled()
    assert torch.equal(state[0], torch.random.get_rng_state())
    assert np.array_equal(state[1], np.random.get_state()[1])  # type: ignore[arg-type]
    assert len(timings) == 2
    for timing in timings:
        assert 0 < timing.min_us <= timing.median_us <= timing.p90_us
        assert timing.runs == 6 if cold else timing.runs >= 12


def test_threads_are_put_back_after_an_error(two_threads: None) -> None:
    with pytest.raises(DeviceError, match="expected an ONNX file"):
        Torch(provider="cpu").time([b"nothing"])
    assert torch.get_num_threads() == 2


# --- as a device


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    Profile(name="desk", reach="torch", provider="cpu").write(tmp_path / "budgets" / "desk")
    return tmp_path / "budgets" / "desk"


def test_latency_on_it(small: Graph, desk: Path) -> None:
    device = find_device("desk")
    assert device.host == torch_host(1, "cpu")
    assert device.host.runtime == f"torch {torch.__version__}"
    assert device.host.key != find_device("host").host.key
    cost = measure(small, meters=["latency"], device="desk")["latency"]
    assert cost.total > 0
    assert cost.rows["stem.0"] > 0


def test_a_file_is_timed_on_it(exported: Path, desk: Path) -> None:
    (timing,) = find_device("desk").time([exported], rounds=2, sample=SAMPLE)
    assert timing.min_us > 0


def part(host: Host) -> HostPart:
    return HostPart(**host.__dict__)


def test_another_machine_is_warned_of(desk: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = torch_host(1, "cpu")
    profile = Profile(name="desk", reach="torch", provider="cpu", host=part(here)).write(desk)
    assert find_device("desk").stopwatch == Torch(provider="cpu")
    other = part(replace(here, runtime="torch 1.0"))
    profile.model_copy(update={"host": other}).write(desk)
    with caplog.at_level(logging.WARNING):
        found = find_device("desk")
    assert "runtime torch 1.0" in caplog.text
    assert found.host == other.host()
    with pytest.raises(DeviceError, match="known by its profile alone"):
        found.time([b""])


@NO_GPU
def test_no_gpu(desk: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DeviceError, match=r"a CUDA GPU for `provider: cuda`.* sees none here; use"):
        Torch().time([b""])
    profile = Profile(name="desk", reach="torch", provider="cuda").write(desk)
    with pytest.raises(DeviceError, match="sees none here"):
        find_device("desk")
    gpu = Host(
        cpu="a GPU", instructions=("sm_90",), threads=1, runtime="torch 2.13.0", provider="cuda"
    )
    profile.model_copy(update={"host": part(gpu)}).write(desk)
    with caplog.at_level(logging.WARNING):
        found = find_device("desk")
    assert (found.host, found.stopwatch) == (gpu, None)
    assert "sees none here" in caplog.text


@GPU
def test_a_gpu(small: Graph, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    device = torch_device("cuda")
    agrees(str(exported), SAMPLE, device)
    for model in (*SINGLE.values(), *map(spelled, SPELLED)):
        agrees(model, device=device)
    for cold in (False, True):
        (timing,) = Torch().time([whole_model(small)], rounds=2, cold=cold)
        assert timing.min_us > 0
    host = Torch().facts()
    assert host.cpu == torch.cuda.get_device_name()
    assert host.instructions[0].startswith("sm_")


# --- what it refuses


@pytest.mark.parametrize("provider", ["CPUExecutionProvider", "cuda:x", "mps", ""])
def test_other_providers(provider: str) -> None:
    with pytest.raises(DeviceError, match="expected `provider: cuda` or `provider: cpu`"):
        torch_device(provider)


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_rule_is_named(case: str) -> None:
    with pytest.raises(DeviceError) as caught, torch.inference_mode():
        Program(REFUSED[case], CPU)
    assert case in str(caught.value)
    assert "\n" not in str(caught.value)
    if "with" in case or "operator" in case:
        assert "`reach: host`" in str(caught.value)

from __future__ import annotations

import ast
import copy
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from sshd import MISSING, SSHD, Server, program

from easearch.budget import LatencyTable, find_meter
from easearch.budget.devices import find_device, runner
from easearch.budget.devices.host import this_host
from easearch.budget.devices.profile import FILE, SshPart
from easearch.budget.devices.ssh import Ssh, _batches
from easearch.budget.devices.ssh_link import Link, command
from easearch.errors import DeviceError
from easearch.graph import Graph, Shape

needs_sshd = pytest.mark.skipif(SSHD is None, reason=MISSING)
SMALL, LARGE = 2, 768
ROUNDS: dict[str, int] = {"rounds": 2, "sessions": 16}
"""Four models a batch."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("sshd")).running() as running:
        yield running


@pytest.fixture
def board(server: Server) -> Iterator[Ssh]:
    device = Ssh(name="board", part=server.part(), patience_s=60, pauses_s=(0.0, 0.1))
    yield device
    device.close()


def matmul(size: int, number: int = 0) -> bytes:
    """A product with a square matrix; `number` makes it another model."""
    weight = numpy_helper.from_array(np.full((size, size), 1.0 + number, np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, size)) for n in "xy")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [weight])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def talk(python: list[str], folder: Path, text: bytes) -> list[dict[str, Any]]:
    """What the runner, alone in a folder, answers."""
    shutil.copy(runner.__file__, folder / "runner.py")
    told = subprocess.run(
        [*python, "runner.py"],
        cwd=folder,
        input=text,
        capture_output=True,
        check=True,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    ).stdout.decode()
    noise, _, answers = told.partition(f"\n{runner.MAGIC}\n")
    assert not noise
    return [json.loads(line) for line in answers.splitlines()]


def request(models: list[bytes], order: list[int], **more: Any) -> bytes:
    head = {
        "do": "time",
        "sizes": [len(model) for model in models],
        "names": [f"{number}.onnx" for number in range(len(models))],
        "order": order,
        **more,
    }
    return json.dumps(head).encode() + b"\n" + b"".join(models)


def test_the_runner_is_one_file_for_python_3_8(tmp_path: Path) -> None:
    text = Path(runner.__file__).read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    names = {
        a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names
    }
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}
    told = {"threads": 1, "provider": runner.PROVIDER}
    asked = json.dumps({"do": "facts", **told}).encode() + b"\n"
    models = [matmul(SMALL), b"no model", matmul(SMALL, 1)]
    asked += request(models, [0, 2, 2], rounds=2, **told)
    asked += request(models, [1], **told)
    facts, times, error = talk([sys.executable, "-I"], tmp_path, asked)
    assert facts == {"facts": runner.facts()}
    assert len(times["times"]) == 3
    assert "cannot load 1.onnx" in error["error"]
    assert [file.name for file in tmp_path.iterdir()] == ["runner.py"]


def test_what_comes_too_late_is_no_request(tmp_path: Path) -> None:
    """A connection that breaks within a model gives no answer, and ends the runner."""
    cut = request([matmul(64)], [0], rounds=2)[:-9]
    (answer,) = talk([sys.executable, "-I"], tmp_path, cut)
    assert list(answer) == ["error"]


def test_a_sign_of_life_between_any_two_visits() -> None:
    seen: list[int] = []
    models = [matmul(SMALL), matmul(SMALL, 1), matmul(SMALL, 2)]
    runner.timed(models, rounds=3, sessions=32, done=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 2 + 3 * 32 * (1 + 3)
    assert seen[-1] == 3


def test_an_emulated_processor_is_not_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    here = runner.processor()
    monkeypatch.setattr(runner.platform, "machine", lambda: "aarch64")
    there = runner.processor()
    assert there["cpu"] == f"aarch64 emulated on {here['cpu']}"
    assert there["instructions"] == ["asimd"]


def test_an_arm_processor_is_told_by_its_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["processor\t: 0", "Features\t: fp asimd asimdhp asimddp", "CPU part\t: 0xd0b", "", ""]
    file = tmp_path / "cpuinfo"
    file.write_text("\n".join(lines))
    monkeypatch.setattr(runner, "CPUINFO", str(file))
    monkeypatch.setattr(runner.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(runner.platform, "processor", lambda: "")
    told = runner.processor()
    assert told["cpu"] == "aarch64 CPU part 0xd0b"
    assert told["instructions"] == ["asimd", "asimdhp", "asimddp"]


def test_batches_hold_every_model_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easearch.budget.devices.ssh.BATCH_BYTES", 10)
    models = [b"a" * 4, b"b" * 4, b"b" * 4, b"c" * 4, b"d" * 30, b"e", b"f", b"g", b"h", b"i"]
    batches = [[model for _, model in batch] for batch in _batches(models, 4)]
    assert [one for batch in batches for one in batch] == models
    assert [len(batch) for batch in batches] == [3, 1, 1, 4, 1]
    assert not list(_batches([], 4))


@needs_sshd
def test_times_come_in_order_with_every_field(board: Ssh) -> None:
    sizes = [SMALL, LARGE, LARGE, SMALL, SMALL, LARGE]
    models = [matmul(size, number // 3) for number, size in enumerate(sizes)]
    timings = board.time(models, **ROUNDS)
    for timing in timings:
        assert 0 < timing.min_us <= timing.median_us <= timing.p90_us
        assert timing.runs >= 2 * 2 * 16
        assert timing.min_us == min(timing.halves_us)
    low = max(t.min_us for t, size in zip(timings, sizes, strict=True) if size == SMALL)
    assert all(t.min_us > low for t, size in zip(timings, sizes, strict=True) if size == LARGE)
    cold = board.time(models[:1], rounds=3, sessions=1, cold=True)
    assert cold[0].runs == 3
    assert board.facts() == this_host()
    assert board.time([]) == []


@needs_sshd
def test_one_connection_serves_many_batches(board: Ssh, server: Server) -> None:
    models = [matmul(SMALL, number) for number in range(9)]
    board.time(models, **ROUNDS)
    pids = server.sessions()
    with pytest.raises(DeviceError, match="the device 'board': ONNX Runtime cannot load"):
        board.time([*models, b"no model"], **ROUNDS)
    board.time(models, **ROUNDS)
    assert server.sessions() == pids
    board.close()
    ends(server)


@needs_sshd
def test_the_runner_ends_with_the_process_that_asks(server: Server) -> None:
    device = Ssh(name="board", part=server.part())
    device.facts()
    assert server.sessions()
    del device
    ends(server)


def ends(server: Server) -> None:
    """Nobody is connected any more, soon."""
    for _ in range(200):
        if not server.sessions():
            return
        time.sleep(0.05)
    raise AssertionError("a runner is still there")


@pytest.fixture
def cutting(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> Callable[[Callable[[int], bool]], list[int]]:
    """Cuts the connection when a batch was sent, where told; keeps the sizes that were sent."""

    def arm(when: Callable[[int], bool]) -> list[int]:
        asked: list[int] = []
        answer = Link.answer

        def cut(link: Link) -> dict[str, Any]:
            asked.append(len(asked))
            if when(asked[-1]):
                assert server.cut() == 1
            return answer(link)

        monkeypatch.setattr(Link, "answer", cut)
        return asked

    return arm


@needs_sshd
def test_a_broken_connection_is_taken_up_again(
    board: Ssh, cutting: Callable[..., list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    models = [matmul(SMALL, number) for number in range(10)]
    asked = cutting(lambda number: number in (2, 5))  # facts, batch, batch, facts, batch, batch
    timings = board.time(models, **ROUNDS)
    assert len(timings) == 10
    assert all(timing.runs >= 64 for timing in timings)
    # 3 batches; each of the two that were cut once more; facts at each of 3 connections
    assert len(asked) == 3 + 2 + 3
    assert caplog.text.count("the connection broke") == 2


@needs_sshd
def test_a_connection_that_broke_while_nobody_asked(board: Ssh, server: Server) -> None:
    board.time([matmul(SMALL)], rounds=2)
    assert server.cut() == 1
    assert len(board.time([matmul(SMALL)], rounds=2)) == 1


@needs_sshd
def test_a_device_that_is_gone_says_how_far_it_came(
    board: Ssh, cutting: Callable[..., list[int]]
) -> None:
    cutting(lambda number: number > 1 and number % 2 == 0)  # the second batch, ever again
    models = [matmul(SMALL, number) for number in range(10)]
    with pytest.raises(DeviceError, match=r"tried 3 times in a row; 4 of 10 models were timed"):
        board.time(models, **ROUNDS)


@needs_sshd
def test_noise_at_login_is_no_answer(server: Server) -> None:
    device = Ssh(name="board", part=server.part("noisy"), patience_s=30)
    assert device.facts() == this_host()
    assert len(device.time([matmul(SMALL)], rounds=2)) == 1


@needs_sshd
@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("endless", r"expected '.*' to begin, got 'y y y .* and so on without end"),
        ("silent", "expected a sign of life within 1 s, got none"),
        ("nologin", "got 'This account is not available.'"),
        ("talker", r"expected an answer of the runner, got 'how are you'"),
        ("liar", "expected facts, got {}"),
        ("stranger", "expected to be let in at .* by key, without a password, got .*denied"),
    ],
)
def test_who_answers_otherwise_is_said(server: Server, key: str, message: str) -> None:
    patience = 1.0 if key == "silent" else 60.0
    with pytest.raises(DeviceError, match=message) as caught:
        Ssh(name="board", part=server.part(key), patience_s=patience).facts()
    assert "the device 'board'" in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_sshd
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 1}, r"an ssh server at .* \(port 1\), got 'connection refused'"),
        ({"address": "nobody.invalid"}, "the address of a machine, got 'nobody.invalid'"),
        ({"python": "nopython"}, "'nopython' at .* not found'; install it there"),
        ({"python": "/dev/null"}, "'/dev/null' at .* got '.*denied'; install it there"),
        ({"known_hosts": "nowhere"}, "a file of known host keys, got 'nowhere'"),
        ({"identity": "nowhere"}, "a file of a private key, got 'nowhere'"),
    ],
)
def test_what_cannot_be_reached_is_said(
    server: Server, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeviceError, match=f"expected {message}"):
        Ssh(name="board", part=server.part(**change)).facts()


def test_a_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easearch.budget.devices.ssh_link.CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        part = SshPart(address="127.0.0.1", port=mute.getsockname()[1])
        with pytest.raises(DeviceError, match=r"expected an answer from 127\.0\.0\.1 .* timed out"):
            Ssh(name="board", part=part).facts()


@needs_sshd
def test_host_keys_are_never_taken_on_trust(server: Server, tmp_path: Path) -> None:
    (empty := tmp_path / "none known").touch()
    with pytest.raises(DeviceError, match=r"expected a known host key .* by hand with `ssh -p"):
        Ssh(name="board", part=server.part(known_hosts=str(empty))).facts()
    assert not empty.read_text()
    other = server.known_hosts("another_host")
    with pytest.raises(DeviceError, match=r"expected the host key that is known .*, got another"):
        Ssh(name="board", part=server.part(known_hosts=str(other))).facts()


@needs_sshd
def test_a_key_that_others_can_read(server: Server, tmp_path: Path) -> None:
    key = shutil.copy(server.folder / "plain", tmp_path / "open key")
    key.chmod(0o644)
    with pytest.raises(DeviceError, match=r"a private key that nobody else can read, got '.*open"):
        Ssh(name="board", part=server.part(identity=str(key))).facts()


@needs_sshd
@pytest.mark.parametrize("missing", ["numpy", "onnxruntime"])
def test_a_python_without_what_is_needed(server: Server, tmp_path: Path, missing: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    if missing == "onnxruntime":
        for name in ("numpy", "numpy.libs"):
            (site / name).symlink_to(Path(np.__file__).parents[1] / name)
    line = f'PYTHONPATH="{site}" exec "{sys.executable}" -S "$@"'
    python = program(tmp_path / "python", line)
    with pytest.raises(DeviceError, match=f"No module named '{missing}''; install them there"):
        Ssh(name="board", part=server.part(python=str(python))).facts()


@needs_sshd
def test_a_python_that_ends_on_its_own(server: Server, tmp_path: Path) -> None:
    python = program(tmp_path / "python", "echo SyntaxError: too old >&2; exit 1")
    with pytest.raises(DeviceError, match=r"Python 3\.8 or newer .*, got 'SyntaxError: too old'"):
        Ssh(name="board", part=server.part(python=str(python))).facts()


@needs_sshd
def test_a_provider_it_lacks(server: Server) -> None:
    with pytest.raises(DeviceError, match=r"the device 'board': onnxruntime .* has no TPUProvider"):
        Ssh(name="board", part=server.part(), provider="TPUProvider").facts()


def test_a_machine_without_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="expected the program ssh on this machine"):
        Ssh(name="board", part=SshPart(address="board")).facts()


@needs_sshd
def test_the_command_asks_nobody_and_trusts_nobody(server: Server, tmp_path: Path) -> None:
    (odd := tmp_path / "100% odd").touch()
    words = command(server.part(identity=str(odd)))
    told = [words[place + 1] for place, word in enumerate(words) if word == "-o"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(told)
    said = subprocess.run(
        [words[0], "-G", *words[1:]], capture_output=True, check=True, text=True
    ).stdout.splitlines()
    assert f"port {server.port}" in said
    assert "stricthostkeychecking true" in said
    assert [line for line in said if line.startswith("identityfile")] == [
        f"identityfile {tmp_path}/100%% odd"
    ]
    assert words[words.index("--") + 1] == server.part().address
    assert not any(word.startswith("Port") for word in command(server.part(port=22)))


@needs_sshd
def test_files_are_sent_with_the_weights_beside_them(board: Ssh, tmp_path: Path) -> None:
    plain, split, broken = (tmp_path / f"{name}.onnx" for name in ("plain", "split", "broken"))
    model = onnx.load_from_string(matmul(64))
    onnx.save(model, plain)
    onnx.save(model, split, save_as_external_data=True, location="beside.bin", size_threshold=0)
    assert len(split.read_bytes()) < 64 * 64 * 4
    assert len(board.time([plain, split, plain], rounds=2)) == 3
    broken.write_bytes(b"no model")
    with pytest.raises(DeviceError, match=r"expected an ONNX file, got 'broken.onnx'"):
        board.time([broken])
    with pytest.raises(DeviceError, match=r"expected an ONNX file, got 'gone.onnx'"):
        board.time([tmp_path / "gone.onnx"])
    del model.graph.node[0].input[1]
    onnx.save(model, broken)
    with pytest.raises(DeviceError, match=r"the device 'board': .*cannot load broken.onnx"):
        board.time([broken])


@needs_sshd
def test_a_copy_is_the_same_device_unconnected(board: Ssh) -> None:
    found = board.facts()
    again = copy.deepcopy(board)
    assert (again.name, again.part, again.pauses_s) == (board.name, board.part, board.pauses_s)
    assert again.facts() == found
    again.close()


@pytest.fixture
def budgets(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the profile of the device `board`, whose keys lie beside it."""

    def write(**host: Any) -> Path:
        folder = tmp_path / "budgets" / "board"
        folder.mkdir(parents=True)
        shutil.copy(server.folder / "plain", folder / "key")
        shutil.copy(server.known, folder / "known")
        part = server.part(identity="key", known_hosts="known")
        here = {k: v for k, v in this_host().to_json().items() if k != "key"}
        told = {"name": "board", "reach": "ssh", "ssh": part.model_dump(), "host": {**here, **host}}
        (folder / FILE).write_text(yaml.safe_dump(told))
        monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
        return folder

    return write


@needs_sshd
def test_a_table_of_a_device_behind_ssh(
    budgets: Callable[..., Path], server: Server, conv: Callable[..., Shape]
) -> None:
    budgets()
    table = LatencyTable("board")
    low, high = table.rows([(conv(4, 4, 2),), (conv(64, 64, 32),)])
    assert 0 <= low < high
    assert table.measured == 2
    del table
    ends(server)
    table = LatencyTable("board")
    assert table.rows([(conv(64, 64, 32),)]) == [high]
    assert not server.sessions()


@needs_sshd
def test_latency_of_a_network_behind_ssh(budgets: Callable[..., Path], small: Graph) -> None:
    budgets()
    cost = find_meter("latency", device="board").cost(small)
    assert cost.total > 0


@needs_sshd
def test_another_machine_than_the_profile_says_measures_nothing(
    budgets: Callable[..., Path], caplog: pytest.LogCaptureFixture, conv: Callable[..., Shape]
) -> None:
    budgets(cpu="Cortex-A72", runtime="onnxruntime 1.0")
    device = find_device("board")
    assert device.host.cpu == "Cortex-A72"
    with caplog.at_level(logging.WARNING), pytest.raises(DeviceError, match="same cpu, runtime;"):
        LatencyTable(device).rows([(conv(4, 4, 2),)])
    assert "with cpu Cortex-A72, got " in caplog.text
    assert f"with runtime onnxruntime 1.0, got onnxruntime {onnxruntime.__version__}" in caplog.text
    assert device.stopwatch is not None
    assert device.stopwatch.facts() == this_host()

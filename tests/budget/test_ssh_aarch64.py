"""A device of another instruction set, emulated; docs/devices.md says how to set one up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sshd import MISSING, SSHD, Server

from easearch.budget import LatencyTable
from easearch.budget.devices import runner
from easearch.budget.devices.device import Device
from easearch.budget.devices.host import this_host
from easearch.budget.devices.ssh import Ssh
from easearch.budget.latency.models import whole_model
from easearch.graph import Graph, Shape

VARIABLE = "EASEARCH_AARCH64_PYTHON"
PYTHON = os.environ.get(VARIABLE)
pytestmark = [
    pytest.mark.skipif(SSHD is None, reason=MISSING),
    pytest.mark.skipif(PYTHON is None, reason=f"{VARIABLE} does not name a Python for aarch64"),
]
OUTPUTS = """
import json, sys, runner
session = runner.open_session(sys.stdin.buffer.read())
(output,) = session.run(None, runner.random_inputs(session))
print(json.dumps(output.tolist()))
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with Server(tmp_path_factory.mktemp("sshd")).running() as server:
        device = Ssh(name="board", part=server.part(python=PYTHON))
        yield device
        device.close()


def test_it_is_another_processor(board: Ssh) -> None:
    there, here = board.facts(), this_host()
    assert "aarch64" in there.cpu
    assert "asimd" in there.instructions
    assert not set(there.instructions) & set(here.instructions)
    assert {"cpu", "instructions"} <= set(here.differences(there))


def test_models_are_timed_there(
    board: Ssh, small: Graph, conv: Callable[..., Shape], cache: Path
) -> None:
    for timing in board.time([whole_model(small)] * 2, rounds=2, sessions=2):
        assert 0 < timing.min_us <= timing.median_us <= timing.p90_us
    device = Device(name="board", host=board.facts(), stopwatch=board)
    (row,) = LatencyTable(device).rows([(conv(16, 16, 8, kernel=3),)])
    assert row > 0
    assert [file.parent.name for file in cache.rglob("latency.csv")] == [device.host.key]


def test_outputs_are_the_same_there(small: Graph, tmp_path: Path) -> None:
    model = whole_model(small)
    shutil.copy(runner.__file__, tmp_path)
    assert PYTHON is not None
    words = [PYTHON, "-c", OUTPUTS]
    told = subprocess.run(words, cwd=tmp_path, input=model, capture_output=True, check=True).stdout
    session = runner.open_session(model)
    (here,) = session.run(None, runner.random_inputs(session))
    np.testing.assert_allclose(json.loads(told), here, rtol=1e-5, atol=1e-6)
    assert np.abs(here).max() > 0

"""Devices that lie, and caches that are damaged or cannot be written."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from easearch.budget.devices import Device, Timing, ssh_link
from easearch.budget.devices.host import this_host
from easearch.budget.devices.profile import HostPart, SshPart
from easearch.budget.devices.ssh_causes import last_line
from easearch.budget.devices.ssh_link import Link
from easearch.budget.latency.noise_guard import Quiet
from easearch.budget.latency.step import kept_step
from easearch.budget.store import keep, kept, kept_json
from easearch.errors import DeviceError
from refusals.refused import raised

SOUND: dict[str, Any] = {
    "min_us": 5.0,
    "median_us": 6.0,
    "p90_us": 7.0,
    "runs": 24,
    "halves_us": [5.0, 5.1],
}
TIMES: dict[str, dict[str, Any]] = {
    "below 0": {"min_us": -5.0},
    "nothing": {"min_us": 0.0},
    "nan": {"median_us": math.nan},
    "infinite": {"p90_us": math.inf},
    "1e308": {"min_us": 1e308, "median_us": 1e308, "p90_us": 1e308},
    "1e-300": {"min_us": 1e-300},
    "out of order": {"min_us": 9.0},
    "no runs": {"runs": 0},
    "a half of 0": {"halves_us": [0.0, 5.0]},
    "a half of nan": {"halves_us": [5.0, math.nan]},
}
CALLS = {
    "below 0": '{"min_us": -5}',
    "nothing": '{"min_us": 0}',
    "nan": '{"min_us": NaN}',
    "1e308": '{"min_us": 1e308}',
    "1e-300": '{"min_us": 1e-300}',
    "true": '{"min_us": true}',
    "text": '{"min_us": "fast"}',
    "another key": "{}",
    "a list": "[]",
    "half a file": '{"min_us": ',
    "zero bytes": "\0\0\0",
}
ANSWERS = {
    "a list": "[1]",
    "text": "hello",
    "nan": '{"times": [{"min_us": NaN}]}',
    "a depth of 1e4": "[" * 10_000,
    "a key twice": '{"error": 1, "error": 2}',
    "an error with an escape": json.dumps({"error": "\x1b[31mred\nline"}),
    "an error of 100 KB": json.dumps({"error": "x" * 100_000}),
}
PART = SshPart(address="nowhere")


class Liar:
    """Answers every question with the same times."""

    def __init__(self, times: dict[str, Any], short: bool = False) -> None:
        self.times, self.short = times, short

    def facts(self) -> Any:
        return this_host()

    def time(self, models: Sequence[Any], **_: Any) -> list[Timing]:
        return [Timing.of({**SOUND, **self.times})] * (len(models) - self.short)


def device(times: dict[str, Any], short: bool = False) -> Device:
    return Device(name="board", host=this_host(), stopwatch=Liar(times, short))


@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_cannot_be(name: str, own_cache: Path) -> None:
    place = device(TIMES[name])
    raised(lambda: place.time([b"", b""]), "board", kind=DeviceError, folder=own_cache)
    quiet = Quiet(place)
    raised(lambda: quiet.time([b""], rounds=2, sessions=1), kind=DeviceError, folder=own_cache)


def test_too_few_times() -> None:
    raised(lambda: device({}, short=True).time([b"", b""]), "each of 2 models", kind=DeviceError)
    assert len(device({}).time([b"", b""])) == 2


@pytest.mark.parametrize("name", CALLS)
def test_a_cached_call_that_cannot_be(name: str, caplog: pytest.LogCaptureFixture) -> None:
    place = device({})
    file = place.folder / "call.json"
    file.parent.mkdir(parents=True)
    file.write_text(CALLS[name])
    assert Quiet(place).call_us == math.inf
    assert [one.name for one in file.parent.iterdir()] == ["call.json.damaged-1"]
    assert "set aside" in caplog.text


@pytest.mark.parametrize("text", ['{"step": 7}', '{"step": true}', '{"step": NaN}', "8", "{", "["])
def test_a_cached_step_that_cannot_be(text: str) -> None:
    place = device({})
    keep(place.folder / "step.json", text)
    assert kept_step(place) is None
    assert [one.name for one in place.folder.iterdir()] == ["step.json.damaged-1"]


@pytest.mark.parametrize("how", ["file", "pipe", "folder in place of a file"])
def test_a_cache_that_is_none(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It costs a warning; what was measured is known for the rest of the process."""
    file = tmp_path / "cache" / "host" / "x.json"
    if how == "file":
        (tmp_path / "cache").write_text("mine")
    elif how == "pipe":
        os.mkfifo(tmp_path / "cache")
    else:
        file.mkdir(parents=True)
        (file / "mine").write_text("mine")
    with caplog.at_level(logging.WARNING):
        keep(file, "1")
        keep(file, "2")
    assert kept(file) == "2" and kept_json(file, int) == 2
    assert caplog.text.count("cannot be written to") == 1
    if how == "file":
        assert (tmp_path / "cache").read_text() == "mine"


def _link(program: str, monkeypatch: pytest.MonkeyPatch, patience_s: float = 20.0) -> Link:
    """A connection with a program of this machine in place of `ssh`."""
    begin = (
        "import sys, time\n"
        "sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))\n"
        f"print('\\n{ssh_link.runner.MAGIC}', flush=True)\n"
        "sys.stdin.buffer.readline()\n"
    )
    words = [sys.executable, "-c", begin + program]
    monkeypatch.setattr(ssh_link, "command", lambda part: words)
    return Link("board", PART, patience_s)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = _link(f"print({ANSWERS[name]!r}, flush=True)", monkeypatch)
    if name == "nan":
        raised(lambda: link.ask({"do": "time"}), "expected an answer", kind=DeviceError)
        return
    raised(lambda: link.ask({"do": "facts"}), "board", kind=DeviceError)


def test_rows_for_ever_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "while True: sys.stdout.write('{\"done\": 1}\\n' * 1000)"
    monkeypatch.setattr(ssh_link, "MOST_BYTES", 2**18)
    link = _link(endless, monkeypatch)
    raised(lambda: link.ask({"do": "time"}), "without end", kind=DeviceError)
    monkeypatch.setattr(ssh_link, "LONGEST_WAIT", 0.05)
    slow = "while True: print('{\"done\": 1}', flush=True); time.sleep(0.3)"
    link = _link(slow, monkeypatch)
    raised(lambda: link.ask({"do": "time"}), "without end", kind=DeviceError)


def test_what_a_remote_says_steers_no_terminal() -> None:
    assert last_line("a\n\x1b]0;title\x07\x1b[31mno such file\x1b[0m\r\n") == "no such file"
    facts = {"cpu": "\x1b[31mARM\n", "threads": 1, "runtime": "x", "provider": "y"}
    assert HostPart.model_validate(facts).host().cpu == "ARM"

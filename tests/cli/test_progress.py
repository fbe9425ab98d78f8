"""The watcher: plain lines without control characters in a pipe, a display that fits a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from easearch.cli.progress import watching
from easearch.growth.events import Epoch, Event, Note, Phase, Progress, Step

COSTS, LIMITS = {"latency": 0.21, "macs": 78_000.0}, {"latency": 0.4}
EVENTS: list[Event] = [
    Phase(name="train", detail="to epoch 2 of 12"),
    Progress(stage=0, stages=2, epoch=0.5, epochs=12, loss=1.5, seconds_left=80),
    Epoch(
        stage=0,
        epoch=1,
        rate=0.1,
        loss=1.2,
        accuracy=0.55,
        validation_loss=1.1,
        validation_accuracy=0.6,
        costs=COSTS,
        limits=LIMITS,
        compute=1e9,
        seconds=7.0,
    ),
    Step(
        round=1,
        epoch=2,
        widths_before={"a": 16, "b": 32},
        widths_after={"a": 32, "b": 32},
        costs_before=COSTS,
        costs_after={"latency": 0.31, "macs": 99_000.0},
        limits=LIMITS,
        promised=0.05,
        kept=0.02,
        factor=0.5,
        line_search=((0.0, 1.0), (0.5, 0.98)),
        loss_before=1.0,
        loss_after=0.98,
        moves=16,
        solver="exact",
        gap=0.0,
        binding="latency",
        shadow_price=0.1,
        held_out=None,
        images=1024,
    ),
    Note(text="a remark with [brackets]"),
]


def shown(console: Console) -> str:
    with watching(console) as watch:
        for event in EVENTS:
            watch(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_one_plain_line_an_event() -> None:
    text = shown(Console(file=io.StringIO(), force_terminal=False, width=40))
    lines = text.splitlines()
    assert len(lines) == len(EVENTS) - 1  # no line for a batch
    assert not any(ord(char) < 32 for line in lines for char in line)
    assert lines[1].startswith("epoch 1/12") and "60.0" in lines[1]
    assert lines[2].startswith("growth 1: +16 channels in 1 groups")
    assert lines[3] == "note: a remark with [brackets]"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    text = shown(Console(file=io.StringIO(), force_terminal=True))
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 120])
def test_the_live_display_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown(Console(file=io.StringIO(), force_terminal=True, width=width, height=24))
    for word in ("growth 1: +16 channels", "[brackets]", "epoch", "left"):
        assert word in text
    plain = io.StringIO()
    from easearch.cli.progress import View

    view = View()
    for event in EVENTS:
        view.take(event)
    Console(file=plain, width=width, force_terminal=False).print(view.picture())
    assert max(map(len, plain.getvalue().splitlines())) <= width
    assert "latency" in plain.getvalue() and "60.0" in plain.getvalue()

"""What was disturbed is timed again: noisy halves, and a machine that is slow for a while."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from easearch.budget import LatencyTable, find_device, find_step, this_host
from easearch.budget.devices.runner import CHUNK
from easearch.budget.devices.timing import Timing
from easearch.budget.latency.noise_guard import ATTEMPTS, BUSY, SLOW, Quiet
from easearch.graph import Shape

CALL_US = 2.0
Weather = Callable[[int, int], float]
"""How many times slower the machine is: at which request, for which model of it."""


class Machine:
    """A stopwatch whose machine is disturbed as a test says; every request is remembered."""

    def __init__(self, weather: Weather, halves: Weather = lambda *_: 1.0) -> None:
        self.weather, self.halves = weather, halves
        self.asked: list[int] = []

    def facts(self) -> Any:
        return this_host()

    def time(self, models: Sequence[Any], **_: Any) -> list[Timing]:
        request = len(self.asked)
        self.asked.append(len(models))
        found = []
        for place, model in enumerate(models):
            us = (CALL_US if len(model) < 400 else 50.0) * self.weather(request, place)
            halves = (us, us * self.halves(request, place))
            high = max(halves)
            found.append(Timing(min_us=us, median_us=high, p90_us=high, runs=4, halves_us=halves))
        return found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easearch.budget.latency.noise_guard.PAUSE_S", 0.0)


def quiet(machine: Machine) -> Quiet:
    return Quiet(dataclasses.replace(find_device("host"), stopwatch=machine))


MODELS = [bytes(1000)] * 5


def test_on_a_quiet_machine_everything_is_timed_once_beside_a_call() -> None:
    machine = Machine(lambda *_: 1.0)
    found = quiet(machine).time(MODELS, rounds=2, sessions=CHUNK // 4)
    assert [one.min_us for one in found] == [50.0] * 5
    assert machine.asked == [5 + 2]  # three models beside a call, and two


def test_noisy_halves_are_timed_again_by_themselves() -> None:
    machine = Machine(
        lambda *_: 1.0, lambda request, place: 1.2 if request == 0 == place - 2 else 1
    )
    found = quiet(machine).time(MODELS, rounds=2, sessions=4)
    assert machine.asked == [6, 2]
    assert all(one.disturbed <= BUSY for one in found)


def test_a_slow_moment_shows_in_the_call_beside() -> None:
    """Both halves agree, and still the time is wrong: only the call tells."""
    heard = quiet(Machine(lambda *_: 1.0))
    heard.time(MODELS[:1], rounds=2, sessions=4)
    machine = Machine(lambda request, place: 1.0 if request else 1.5)
    later = quiet(machine)
    assert later.call_us == CALL_US  # kept with the device
    found = later.time(MODELS, rounds=2, sessions=4)
    assert machine.asked == [6, 6]
    assert [one.min_us for one in found] == [50.0] * 5
    assert all(one.slow == 0.0 for one in found)


def test_where_it_stays_slow_that_is_said_and_patience_ends() -> None:
    quiet(Machine(lambda *_: 1.0)).time(MODELS[:1], rounds=2, sessions=4)
    machine = Machine(lambda *_: 1.5)
    patient = quiet(machine)
    found = patient.time(MODELS, rounds=2, sessions=4)
    assert len(machine.asked) == ATTEMPTS
    assert all(one.slow == pytest.approx(0.5) for one in found)
    assert all(
        one.spread == 0.0 for one in found
    )  # the noise that a certificate grants is not more
    patient.time(MODELS, rounds=2, sessions=4)
    assert len(machine.asked) == ATTEMPTS + 1


def test_a_little_slower_is_nothing() -> None:
    quiet(Machine(lambda *_: 1.0)).time(MODELS[:1], rounds=2, sessions=4)
    machine = Machine(lambda *_: 1 + 0.9 * SLOW)
    quiet(machine).time(MODELS, rounds=2, sessions=4)
    assert len(machine.asked) == 1


def test_rows_tell_how_disturbed_they_are_and_are_measured_again(
    conv: Callable[..., Shape],
) -> None:
    find_step()
    items = [(conv(16, n, 4),) for n in (16, 32, 48)]
    first = LatencyTable(
        dataclasses.replace(find_device("host"), stopwatch=Machine(lambda *_: 1.0))
    )
    first.measure(items[:1])
    noisy = Machine(lambda *_: 1.0, lambda *_: 1.3)
    table = LatencyTable(dataclasses.replace(find_device("host"), stopwatch=noisy))
    table.measure(items)
    assert table.measured == 2
    assert sum(row.spread > BUSY for row in table.known.values()) == 2
    table.measure(items)
    assert table.measured == 2
    calm = LatencyTable(dataclasses.replace(find_device("host"), stopwatch=Machine(lambda *_: 1.0)))
    calm.measure(items, again=True)
    assert calm.measured == 2
    assert all(row.spread <= BUSY for row in LatencyTable().known.values())


def test_damage_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    heard = quiet(Machine(lambda *_: 1.0))
    heard.time(MODELS[:1], rounds=2, sessions=4)
    (heard.device.folder / "call.json").write_text("[")
    with caplog.at_level(logging.WARNING):
        assert quiet(Machine(lambda *_: 1.0)).call_us == float("inf")
    assert "call.json is damaged" in caplog.text

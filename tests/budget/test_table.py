from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from easearch.budget import LatencyTable, find_device
from easearch.budget.devices import Profile
from easearch.budget.devices.timing import Timing
from easearch.budget.latency.rows import Row, describe, item_key, merge_rows, read_rows
from easearch.errors import DeviceError
from easearch.graph import Shape


def test_rows_are_measured_once(conv: Callable[..., Shape]) -> None:
    items = [(conv(8, 16, 4),), (conv(8, 8, 4, "depthwise", 3),), (conv(8, 16, 4),)]
    first, second = LatencyTable(), LatencyTable()
    rows = first.rows(items)
    assert first.measured == 2
    assert rows[0] == rows[2] > 0
    assert second.rows(items) == first.rows(items) == rows
    assert (first.measured, second.measured) == (2, 0)


def test_free_layers_cost_nothing() -> None:
    table = LatencyTable()
    shape = Shape(kind="identity", in_channels=4, out_channels=4, in_size=(), out_size=())
    assert table.rows([(shape,)]) == [0.0]
    assert table.measured == 0
    assert not table.path.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("conv 8>16", "conv 8>16", 1) + "cut,of\n",
        lambda text: text.replace(text.splitlines()[1], "x,1,2,nan,3,today"),
        lambda text: text.replace(text.splitlines()[1], "x,-1,2,3,3,today"),
        lambda text: "\x00\x01" + text,
        lambda text: "",
        lambda text: text[: len(text) // 2],
    ],
)
def test_damage_is_measured_again(
    damage: Callable[[str], str], conv: Callable[..., Shape], caplog: pytest.LogCaptureFixture
) -> None:
    items = [(conv(8, 16, 4),), (conv(16, 8, 4),)]
    LatencyTable().rows(items)
    path = LatencyTable().path
    path.write_text(damage(path.read_text()))
    with caplog.at_level(logging.WARNING):
        again = LatencyTable()
        assert all(value > 0 for value in again.rows(items))
    assert "measuring again" in caplog.text
    caplog.clear()
    assert len(read_rows(path)) >= 2
    assert not (again.measured and caplog.text)


def test_a_table_of_bytes_is_no_crash(conv: Callable[..., Shape]) -> None:
    table = LatencyTable()
    table.path.parent.mkdir(parents=True)
    table.path.write_bytes(bytes(range(256)))
    assert table.rows([(conv(8, 16, 4),)])[0] > 0


def test_what_others_added_meanwhile_is_kept(conv: Callable[..., Shape]) -> None:
    mine, other = LatencyTable(), LatencyTable()
    one, two = (conv(8, 16, 4),), (conv(16, 16, 4),)
    mine.rows([])
    other.rows([one])
    mine.rows([two])
    assert set(read_rows(mine.path)) == {item_key(one), item_key(two)}


def test_of_two_rows_the_quieter_stays(tmp_path: Any, conv: Callable[..., Shape]) -> None:
    path = tmp_path / "latency.csv"
    row = Row(
        description=describe((conv(8, 16, 4),)),
        min_us=1.0,
        median_us=2.0,
        p90_us=3.0,
        runs=4,
        spread=0.1,
        date="2026-01-01",
        item="conv, odd",
    )
    merge_rows(path, [row])
    merge_rows(path, [dataclasses.replace(row, min_us=0.5, spread=0.2)])
    assert read_rows(path) == {"conv, odd": row}
    quieter = dataclasses.replace(row, min_us=0.5, spread=0.0)
    merge_rows(path, [quieter])
    assert read_rows(path) == {"conv, odd": quieter}


def test_progress_and_the_device_named(conv: Callable[..., Shape]) -> None:
    seen: list[tuple[int, int]] = []
    asked: list[int] = []

    class Counting:
        def time(self, models: Sequence[Any], **_: Any) -> list[Timing]:
            asked.append(len(models))
            told = Timing(min_us=5.0, median_us=6.0, p90_us=7.0, runs=2, halves_us=(5.0, 5.0))
            return [told] * len(models)

    # A step of its own: one measured beside other tests may be another, with other rows to time.
    profile = Profile(name="counting", step=32)
    device = dataclasses.replace(find_device("host"), stopwatch=Counting(), profile=profile)
    table = LatencyTable(device, progress=lambda done, total: seen.append((done, total)))
    table.rows([(conv(8, 4 * n, 4),) for n in range(1, 31)])
    assert seen[-1] == (30, 30)
    assert len(asked) == len(seen)
    assert table.measured == 30


def test_the_key_holds_every_field(conv: Callable[..., Shape]) -> None:
    shape = conv(8, 16, 4)
    others = [
        dataclasses.replace(shape, kind="depthwise"),
        dataclasses.replace(shape, in_channels=4),
        dataclasses.replace(shape, out_channels=4),
        dataclasses.replace(shape, in_size=(4, 5)),
        dataclasses.replace(shape, out_size=(4, 5)),
        conv(8, 16, 4, kernel=3),
    ]
    assert len({item_key((one,)) for one in [shape, *others]}) == 7


def test_what_cannot_run_is_a_device_error(conv: Callable[..., Shape]) -> None:
    broken = conv(8, 12, 4, "depthwise", 3)
    with pytest.raises(DeviceError, match="ONNX Runtime cannot"):
        LatencyTable().rows([(broken,)])

"""A vendor's table: pasted, priced by; and the list of what such a table has to hold."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from easearch.budget import Latency, LatencyTable, find_device
from easearch.budget.latency.calibration import paid
from easearch.budget.latency.kernels import shapes_of
from easearch.budget.latency.pasted import TODO, read_pasted, write_todo
from easearch.budget.latency.reachable import reachable
from easearch.budget.latency.rows import describe
from easearch.budget.profiling import pasted
from easearch.errors import DeviceError
from easearch.graph import Graph

VENDOR = """Kind;In;Out;Kernel;Stride;Size;Groups;Latency_ms
Conv2D;3;8;3;2;8;1;0.5
Depthwise_Conv2D;8;8;3x3;1x1;4x4;8;0.25
Conv2D;8;8;3;1;4;8;0.125
Fully_Connected;8;4;;;;;0.0625
Relu;8;8;;;4x4;;0.03125
"""


@pytest.fixture(autouse=True)
def budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    return tmp_path / "budgets"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vendor.csv"
    path.write_text(text)
    return path


def test_other_tools_words_are_understood(tmp_path: Path) -> None:
    rows = read_pasted(written(tmp_path, VENDOR))
    said = [row.description for row in rows]
    assert [one.kind for one in said] == ["conv", "depthwise", "depthwise", "linear", "activation"]
    assert said[0]._replace(dtype="fp32") == said[0]
    assert (said[0].kernel, said[0].stride, said[0].size) == ("3x3", "2x2", "8x8")
    assert said[1] == said[2]._replace(kernel="3x3")
    assert said[4].activation == "relu"
    assert [row.min_us for row in rows] == [500.0, 250.0, 125.0, 62.5, 31.25]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the columns kind, in, out, size, a time"),
        ("kind,in,out,size\n", "a time"),
        ("kind,in,out,size,us\n", "expected rows"),
        ("kind,in,out,size,us\nconv,8,8,4,\n", "line 2: us: expected a number"),
        ("kind,in,out,size,us\nconv,8,8,4,-1\n", "line 2: us: expected a number that is not"),
        ("kind,in,out,size,us\nconv,8,8,4,nan\n", "line 2: us"),
        ("kind,in,out,size,us\nconf,8,8,4,1\n", "did you mean 'conv'"),
        ("kind,in,out,size,us\nconv,8,8,4 by 4,1\n", "line 2: size: expected a size"),
        ("kind,in,out,size,us,dtype\nconv,8,8,4,1,fp16\n", "line 2: dtype: expected fp32 or int8"),
        ("kind,in,out,size,us\nconv,0,8,4,1\n", "line 2: in: expected a whole number of 1"),
        ("kind,in,out,size,us\nconv,8,1.7,4,1\n", "line 2: out: expected a whole number of 1"),
        ("kind,in,out,size,us\nconv,8,1e300,4,1\n", "line 2: out: expected a whole number of 1"),
        ("kind,in,out,size,us\nconv,8,8,4x0,1\n", "line 2: size: expected a whole number of 1"),
        ("kind,in,out,size,us,kernel\nconv,8,8,4,1,0\n", "line 2: kernel: expected a whole"),
        ("kind,in,out,size,us,stride\nconv,8,8,4,1,0x1\n", "line 2: stride: expected a whole"),
        ("kind,in,out,size,us,groups\nconv,8,8,4,1,0\n", "line 2: groups: expected a whole"),
        ("kind,in,out,size,us,groups\nconv,8,8,4,1,3\n", "line 2: groups: expected a divisor"),
        ("kind,in,out,size,us,groups\nconv,8,8,4,1,two\n", "line 2: groups: expected a number"),
        ("kind,in,out,size,us,us\nconv,8,8,4,1,2\n", "each column once, got several of us"),
    ],
)
def test_what_cannot_be_understood_is_said_with_its_line(
    tmp_path: Path, budgets: Path, text: str, told: str
) -> None:
    with pytest.raises(DeviceError, match=told.replace("(", r"\(")):
        pasted("board", written(tmp_path, text))
    assert not budgets.exists()


def test_a_list_filled_in_elsewhere_prices_the_network(tmp_path: Path, small: Graph) -> None:
    """From a network to the list, through another tool (here: ONNX Runtime itself), to a price."""
    items = reachable(small, 8, 2.0)
    folder = tmp_path / "todo"
    assert write_todo({"fp32": items}, folder) == len(items)
    with (folder / TODO).open() as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        onnxruntime.InferenceSession(folder / row["model"])
        row["us"] = 10.0 + number
    with (folder / "done.csv").open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = pasted("board", folder / "done.csv", step=8)
    assert (found.rows, found.step) == (len(items), 8)
    times = {describe(item): 10.0 + number for number, item in enumerate(items)}
    expected = sum(times[describe(shapes_of(small, item))] for item in paid(small))
    cost = Latency("board").cost(small)
    assert cost.total == pytest.approx(expected / 1000)
    assert cost.interval is None
    assert "no whole network was measured" in cost.note


def test_without_activations_of_their_own_they_are_fused(tmp_path: Path, small: Graph) -> None:
    """A fused item is its parts; a table that knows no activation at all has them fused."""
    (item,) = (shapes_of(small, one) for one in paid(small) if len(one) == 3)
    head = item[0]
    lines = [f"conv,{head.in_channels},{head.out_channels},3,2,8,"]
    path = written(tmp_path, "kind,in,out,kernel,stride,size,activation,us\n" + lines[0] + ",7\n")
    pasted("fused", path)
    assert LatencyTable("fused").rows([item]) == [7.0]
    act = "activation,8,8,,,4x4,silu,2\n"
    path.write_text(path.read_text() + act)
    pasted("apart", path)
    assert LatencyTable("apart").rows([item]) == [9.0]


def test_what_the_table_lacks_is_listed(tmp_path: Path, small: Graph) -> None:
    pasted("board", written(tmp_path, VENDOR))
    with pytest.raises(DeviceError, match=r"no rows for 3 operators .*add 8>8 at 4x4"):
        Latency("board").cost(small)
    with pytest.raises(DeviceError, match="nothing can be run on it from here"):
        find_device("board").time([b""])

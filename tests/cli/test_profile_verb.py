"""easearch profile: tables measured, listed for elsewhere, pasted; mistakes are one sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from easearch.cli import main

SEED = ["mobilenet_v1", "--set", "layout=[[16,1,1],[16,1,2]]", "--set", "stem_channels=16"]
SIZE = ["--input", "1x8x8"]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    monkeypatch.setenv("EASEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) in (1, 2)
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return " ".join(told.replace("│", " ").split())


def test_the_hosts_own_table_is_measured_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["profile", *SEED, *SIZE, "--reach", "1.5"]
    first = printed(words, capsys)
    assert first["device"] == "host"
    assert first["measured_now"] == first["rows"] > 0
    assert printed(words, capsys)["measured_now"] == 0
    assert main(words) == 0
    assert "networks in fp32" in capsys.readouterr().out


def test_a_new_device_gets_a_folder_that_measure_and_budgets_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["profile", *SEED, *SIZE, "--reach", "1.5", "--device", "board", "--threads", "2"]
    told = printed(words, capsys)
    assert Path(told["folder"]) == tmp_path / "budgets" / "board"
    costs = printed(["measure", *SEED, *SIZE, "--device", "board", "--meters", "latency"], capsys)
    assert costs["costs"]["latency"]["total"] > 0
    assert "is there already" in refused(words, capsys)


def test_a_list_for_another_tool_comes_back_as_a_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = printed(["profile", *SEED, *SIZE, "--todo", "todo", "--step", "16"], capsys)
    assert len(list((tmp_path / "todo").glob("*.onnx"))) == told["models"]
    lines = Path(told["list"]).read_text().splitlines()
    rows: list[dict[str, Any]] = list(csv.DictReader(lines))
    with Path("filled.csv").open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "us": "10"} for row in rows)
    pasted = ["profile", "--device", "npu", "--csv", "filled.csv", "--step", "16"]
    assert printed(pasted, capsys)["rows"] == len(rows)
    costs = printed(["measure", *SEED, *SIZE, "--device", "npu", "--meters", "latency"], capsys)
    assert costs["costs"]["latency"]["total"] == pytest.approx(
        0.01 * sum(row["latency"] > 0 for row in costs["layers"])
    )
    # Changed by hand, it is refused; taken over by the command that the refusal names, it is used.
    table = tmp_path / "budgets" / "npu" / "latency.csv"
    table.write_text(table.read_text().replace("10.0,10.0,10.0", "20.0,20.0,20.0"))
    measure = ["measure", *SEED, *SIZE, "--device", "npu", "--meters", "latency"]
    assert f"--csv {table}" in refused(measure, capsys)
    printed(["profile", "--device", "npu", "--csv", str(table)], capsys)
    again = printed(measure, capsys)
    assert again["costs"]["latency"]["total"] == pytest.approx(
        2 * costs["costs"]["latency"]["total"]
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["profile"], "name the models"),
        (["profile", *SEED, "--precision", "fp8"], "expected the precision fp32 or int8"),
        (["profile", *SEED, "--threads", "2"], "'host' is there already"),
        (["profile", *SEED, "--device", "x/y"], "expected a device's name"),
        (["profile", *SEED, "--device", "new", "--provider", "Abacus"], "has no Abacus"),
        (["profile", "--device", "new", "--csv", "none.csv"], "none.csv"),
        (["profile", *SEED, "--device", "new", "--csv", "x", "--step", "5"], "x: expected"),
        (["measure", *SEED, "--device", "hist"], "did you mean 'host'"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert told in refused(words, capsys)
    assert not (tmp_path / "budgets").exists()

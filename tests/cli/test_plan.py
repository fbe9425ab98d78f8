"""`plan` on the command line, and what it and `grow` refuse before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from easearch.budget.profiling import pasted
from easearch.cli import main
from easearch.preflight.plan import Preflight, plan

TINY = """
data: {name: fashion-mnist-mini, validation: 0.9, size: 14}
model:
  name: mobilenet_v1
  arguments: {layout: [[8, 1, 1], [8, 1, 2]], stem_channels: 8}
budget: {limits: {macs: 2x}}
growth: {stages: [1.0], at: [0.5], images: 128, width_step: 4}
training: {epochs: 2, batch_size: 128}
threads: 1
"""
"""12.4 kMACs, and 33.2 k where its one growth ends at most."""
ROWS = "kind,in,out,kernel,stride,size,us\nconv,1,8,3,2,14,500\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipe and a device that is known by its table alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "rows.csv").write_text(ROWS)
    pasted("board", tmp_path / "rows.csv", step=8)
    return tmp_path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Preflight:
    file = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    file.write_text(TINY)
    return plan(file)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr, below the phases; nothing else is said or written."""
    before = sorted(Path().rglob("*"))
    assert main(words) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    lines = shown.err.splitlines()
    assert [line.startswith("easearch: ") for line in lines].count(True) == 1
    assert not any(line.startswith(("train", "epoch", "score")) for line in lines)
    assert sorted(Path().rglob("*")) == before
    return lines[-1]


CASES: dict[str, tuple[str, str]] = {
    "negative": ("macs: -5", "expected a positive number"),
    "zero": ("macs: 0", "expected a positive number"),
    "of another quantity": ("macs: 4 ms", "expected macs, kmacs"),
    "without a unit": ("latency: 4", "expected a value with a unit"),
    "a thousandth": ("macs: 24", "macs: 24 is below the seed's own 12.4k; was 24k meant? Write"),
    "a thousandfold": ("macs: 24000000", "what growth can reach here, 33.2k; was 24k meant? Write"),
    "below the seed": ("macs: 5k", "the limit macs 5k is below the seed's own 12.45k; raise"),
    "a share of the seed": ("params: 0.5x", "below the seed's own"),
    "of a front, below the seed": ("macs: [5k, 2x]", "the limit macs 5k is below the seed's own"),
    "of a front, not in order": ("macs: [2x, 20k]", "got 2x before 20k, that is 24.9k before 20k"),
    "of a front, alone": ("macs: [2x]", "expected two limits or more in a list"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("verb", ["plan", "grow"])
def test_a_limit_that_cannot_be_meant(
    verb: str, case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit, said = CASES[case]
    words = [verb, "tiny.yaml", "--set", "budget.limits={" + limit + "}"]
    sentence = refused(words, capsys)
    assert said in sentence
    assert limit.partition(":")[0] in sentence


@pytest.mark.parametrize("verb", ["plan", "grow"])
def test_seconds_written_as_milliseconds(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousandth of a latency that growth can reach, whatever this machine's is."""
    costs = ["measure", "mobilenet_v1", "--input", "1x14x14", "--meters", "latency", "--json"]
    arguments = ["--set", "layout=[[8,1,1],[8,1,2]]", "--set", "stem_channels=8"]
    assert main([*costs, *arguments]) == 0
    own = json.loads(capsys.readouterr().out)["costs"]["latency"]["total"]
    limit = f"budget.limits={{latency_ms: {1.2 * own / 1000:.9f}}}"
    sentence = refused([verb, "tiny.yaml", "--set", limit], capsys)
    assert "is below the seed's own" in sentence
    meant = float(sentence.split("; was ")[1].split(" ms meant")[0])
    assert meant == pytest.approx(1.2 * own, rel=1e-3)
    assert "meant? Write latency: '" in sentence


@pytest.mark.parametrize("verb", ["plan", "grow", "measure"])
def test_an_unknown_device(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'board'?" in refused(on("bord", verb), capsys)


def on(device: str, verb: str) -> list[str]:
    """The verb's words for a latency on that device."""
    if verb == "measure":
        return ["measure", "mobilenet_v1", "--device", device]
    limits = ["--set", f"budget.device={device}", "--set", "budget.limits={latency: 2x}"]
    return [verb, "tiny.yaml", *limits]


@pytest.mark.parametrize("verb", ["plan", "grow", "measure"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [board", "profile.yaml: expected"),
        ("name: board\nreach: moon\n", "reach: "),
        ("name: board\nspeed: 3\n", "speed: unknown key"),
        ("\0\1", "profile.yaml"),
    ],
)
def test_a_profile_that_cannot_be_read(
    verb: str, text: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "budgets" / "board" / "profile.yaml").write_text(text)
    assert said in refused(on("board", verb), capsys)


@pytest.mark.parametrize("verb", ["plan", "grow", "measure"])
def test_rows_that_were_edited(verb: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = here / "budgets" / "board" / "latency.csv"
    rows.write_text(rows.read_text().replace("500", "50"))
    assert "a file that was changed since" in refused(on("board", verb), capsys)
    rows.unlink()
    assert "latency.csv" in refused(on("board", verb), capsys)


@pytest.mark.parametrize("verb", ["plan", "grow", "measure"])
def test_a_device_without_rows_for_these_layers(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "table of 'board' has no rows for" in refused(on("board", verb), capsys)


@pytest.mark.parametrize("verb", ["plan", "grow"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("growth.width_step=64", "no channel group reaches a wider multiple of 64"),
        ("growth.widths={stem.conv: {min: 40}}", "the floor of 40 for 'stem.conv' is out of"),
        ("growth.widths={stem.conv: {min: 16}, '*': {min: 16}}", "at its floor the network costs"),
        ("growth.widths={stem.cnv: locked}", "did you mean 'stem.conv'"),
        ("model.arguments.classes=7", "expected 10, as fashion-mnist-mini has"),
    ],
)
def test_a_growth_that_cannot_be(
    verb: str, change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [verb, "tiny.yaml", "--set", change, "--set", "budget.limits.macs=1.5x"]
    assert said in refused(words, capsys)


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "tiny.yaml", "--set", "budget.limits.macs=99x", "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    told: dict[str, Any] = json.loads(shown.out)
    (limit,) = told["limits"]
    assert limit["meter"] == "macs" and limit["fills"] is False
    assert limit["expected"] == limit["reach"] < limit["limit"]
    assert "growth cannot fill the limit macs" in told["notes"][0]
    assert told["channels_that_grow"] == 24
    assert {group["name"] for group in told["groups"] if group["frozen"]} == {"input", "head"}
    seconds = told["estimate"]["seconds"]
    assert told["total_seconds"] == pytest.approx(sum(seconds.values()))
    assert {"training", "scoring", "line search", "export, certificate"} <= set(seconds)
    assert "load: fashion-mnist-mini" in shown.err.splitlines()
    assert sorted(path.name for path in Path().iterdir()) == ["budgets", "rows.csv", "tiny.yaml"]


@pytest.mark.parametrize("start", ["seed", "largest"])
def test_the_plan_of_a_front_tells_every_limit(
    start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = "budget.limits={macs: [1.8x, 2.6x], params: 9x}"
    began = f"front.start={start}"
    assert main(["plan", "tiny.yaml", "--set", limits, "--set", began, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(one["network"], one["meter"]) for one in told["limits"]] == [
        (1, "macs"),
        (1, "params"),
        (2, "macs"),
        (2, "params"),
    ]
    first, second = told["limits"][::2]
    assert first["seed"] == second["seed"] < first["expected"] <= first["limit"]
    assert first["expected"] <= second["expected"] <= second["limit"]
    assert (told["networks"], len(told["growths"])) == (2, 2 if start == "seed" else 0)
    assert told["trunk"] == pytest.approx(0.8 * 2)
    assert all(moment < told["trunk"] for moment in told["growths"])


@pytest.mark.parametrize("columns", [None, 100, 60, 44])
def test_a_plan_at_any_width(
    columns: int | None,
    found: Preflight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from easearch.cli.plan import print_plan

    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    print_plan(found)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= (columns or 200) for line in lines)
    assert not any(ord(char) < 32 or line != line.rstrip() for line in lines for char in line)
    text = " ".join(" ".join(lines).replace("\N{NO-BREAK SPACE}", " ").split())
    for word in ("24 of 35 channels can grow", "24.9 kMACs", "met and filled", "stem.conv"):
        assert word in text
    for word in ("its channels are the network's input", "time in all", "peak memory", "compute"):
        assert word in text

"""A whole comparison: equal compute, equal limits, the same again, resumed, one look at test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_contest import pictures, tiny

import easearch as ea
from easearch.comparing import ARMS, Arm, Comparison, Delivered, Setting, compare, foresee
from easearch.comparing.arms import uniform
from easearch.comparing.claim import CLAIM, claimed
from easearch.comparing.files import ENTRY, FAILED, Entry, entries_in
from easearch.comparing.guard import Guarded
from easearch.errors import DataError, FileFormatError, RecipeError
from easearch.feed import DataFeed, data_of
from easearch.growth.events import Event, Note
from easearch.reporting.files import Evidence
from easearch.reporting.tables import evidence_table

MINE = ("grow", "uniform", "uniform-grown", "found", "seed", "shuffled", "random")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def found(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Every arm of this test at one seed, and two of them at another, in one folder."""
    out = tmp_path_factory.mktemp("compared")
    compare(tiny(root), ["found"], 1, out=out)
    compare(tiny(root), MINE, 1, out=out)
    return compare(tiny(root), ["grow", "uniform"], 2, out=out)


def at(found: Comparison, arm: str, seed: int = 0) -> dict[str, Any]:
    (one,) = (e for e in found.entries if (e["arm"], e["seed"]) == (arm, seed))
    return dict(one)


def lasting(entry: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the clock on the wall."""
    return {key: value for key, value in entry.items() if key not in ("seconds", "date")}


@pytest.mark.parametrize("arm", MINE)
def test_every_arm_spends_the_compute_to_within_a_step(found: Comparison, arm: str) -> None:
    entry = at(found, arm)
    bill = {k: v for k, v in entry["compute"].items() if k not in ("total", "given")}
    assert sum(bill.values()) == pytest.approx(entry["compute"]["total"])
    assert (
        abs(entry["compute"]["total"] - found.terms.compute) <= 3 * entry["front"][0]["macs"] * 16
    )
    assert entry["compute"]["given"] == found.terms.compute
    assert bill["training"] > 0.5 * found.terms.compute


def test_the_compute_is_the_recipes_epochs_at_the_uniform_widths(
    found: Comparison, root: Path
) -> None:
    uniform = at(found, "uniform")
    (part,), (point,) = uniform["front"], found.terms.points
    assert part["widths"] == dict(point.uniform) and part["macs"] == point.macs
    assert found.terms.compute == 3 * point.macs * 128 * 16
    assert uniform["compute"]["training"] == found.terms.compute
    assert found.terms.step == 3 * point.macs * 16


@pytest.mark.parametrize("arm", MINE)
def test_every_arm_keeps_the_limits_on_its_file(found: Comparison, arm: str) -> None:
    entry = at(found, arm)
    (part,) = entry["front"]
    assert entry["meets"] and part["meets"]
    limits = {proof["meter"]: proof for proof in part["limits"]}
    told = {name: proof["limit"] for name, proof in limits.items()}
    assert told == found.terms.points[0].limits
    assert all(proof["measured"] <= proof["limit"] for proof in limits.values())
    assert limits["macs"]["measured"] == part["macs"]
    folder = Entry(arm=arm, seed=0).folder(found.path)
    assert (folder / "model.onnx").exists()
    x = torch.zeros(1, 1, 12, 12)
    assert ea.trace(ea.load(folder), x).widths == part["widths"]


def test_arms_are_what_they_say(found: Comparison) -> None:
    parts = {arm: at(found, arm)["front"][0] for arm in MINE}
    assert parts["found"]["widths"] == parts["grow"]["widths"]
    assert parts["uniform-grown"]["widths"] == parts["uniform"]["widths"]
    assert parts["seed"]["macs"] < parts["uniform"]["macs"]
    assert set(at(found, "found")["compute"]) == {"training", "total", "given"}
    for arm in ("grow", "shuffled"):
        assert at(found, arm)["compute"]["scoring"] > 0
    for arm in ("random", "uniform-grown"):
        assert at(found, arm)["compute"]["scoring"] == 0
    assert at(found, "uniform")["test"] != at(found, "seed")["test"]


def test_what_others_need_is_run_before_them(found: Comparison) -> None:
    """The first call asked for `found` alone."""
    assert {(e["arm"], e["seed"]) for e in found.entries} == {
        *((arm, 0) for arm in MINE),
        *((arm, 1) for arm in ("grow", "uniform")),
    }


def test_the_table_is_of_all_that_is_there(found: Comparison) -> None:
    assert [row.arm for row in found.rows] == list(MINE)
    rows = {row.arm: row for row in found.rows}
    assert found.reference == "uniform" and rows["uniform"].claim == "reference"
    assert rows["grow"].seeds == (0, 1)
    tests = [at(found, arm, s)["test"]["accuracy"] for s in (0, 1) for arm in ("grow", "uniform")]
    paired = (tests[0] - tests[1], tests[2] - tests[3])
    assert rows["grow"].accuracy.differences == pytest.approx(paired)
    assert rows["grow"].accuracy.difference == pytest.approx(sum(paired) / 2)
    assert rows["seed"].claim == "few seeds"
    assert not found.failures and not found.left
    page = (found.path / "comparison.html").read_text()
    assert all(arm in page for arm in MINE) and "not complete" not in page
    results = json.loads((found.path / "results.json").read_text())
    assert len(results["entries"]) == len(found.entries)


def test_a_report_can_show_it_as_evidence(found: Comparison) -> None:
    evidence = Evidence.model_validate_json((found.path / "evidence.json").read_text())
    rows = {row.arm: row for row in found.rows}
    assert {one.arm: one.accuracy_mean for one in evidence.rows} == pytest.approx(
        {arm: row.accuracy.mean for arm, row in rows.items()}
    )
    shown = evidence_table(evidence)
    assert [line[0] for line in shown.rows] == list(rows)
    assert "grow" in evidence.reading and evidence.commit == found.terms.commit


def test_the_same_entry_gives_the_same_result_in_any_process(
    found: Comparison, root: Path, tmp_path: Path
) -> None:
    told: list[Event] = []
    again = compare(tiny(root), ["seed", "uniform"], 1, out=tmp_path, jobs=2, watch=told.append)
    for arm in ("seed", "uniform"):
        assert lasting(at(again, arm)) == lasting(at(found, arm))
    notes = [event.text for event in told if isinstance(event, Note)]
    assert sorted(note.partition(":")[0] for note in notes) == ["seed, seed 0", "uniform, seed 0"]
    assert not list(tmp_path.glob(f"*/*/{CLAIM}")) and not list(tmp_path.glob(".worker*"))


def test_an_arm_that_scores_fewer_images_pays_for_fewer(
    found: Comparison, root: Path, tmp_path: Path
) -> None:
    few = at(compare(tiny(root), ["grow:images=4"], 1, out=tmp_path), "grow:images=4")
    paid, whole = few["compute"], at(found, "grow")["compute"]
    assert 0 < paid["scoring"] < 0.5 * whole["scoring"]
    assert paid["search"] < whole["search"] and paid["given"] == whole["given"]


def test_an_arm_may_be_trained_in_its_own_way(
    found: Comparison, root: Path, tmp_path: Path
) -> None:
    """At another rate it is the arm of a recipe with that rate, for the same compute; at the
    recipe's own it is the arm. What it needs is trained so too.
    """
    arms = ["uniform:training.rate=0.05", "uniform:training.rate=0.01", "found:training.rate=0.01"]
    mine = compare(tiny(root), arms, 1, out=tmp_path / "arms")
    slow = {"epochs": 16, "batch_size": 16, "rate": 0.01, "warmup": 0.5, "pad": 0}
    theirs = compare(tiny(root, training=slow), ["uniform", "found"], 1, out=tmp_path / "recipe")
    assert not mine.failures
    judged = [at(found, "uniform"), at(theirs, "uniform"), at(theirs, "found")]
    for arm, same in zip(arms, judged, strict=True):
        one = at(mine, arm)
        assert (one["test"], one["compute"]) == (same["test"], same["compute"]), arm
    assert at(mine, arms[0])["test"] != at(mine, arms[1])["test"]
    assert mine.reference == arms[0]


def test_what_is_done_is_not_run_again(found: Comparison, root: Path) -> None:
    path = Entry(arm="grow", seed=0).folder(found.path) / ENTRY
    before = path.stat().st_mtime_ns
    told: list[Event] = []
    again = compare(tiny(root), ["grow"], 1, out=found.path, watch=told.append)
    assert not told and path.stat().st_mtime_ns == before
    assert again.reference == "grow"


def test_a_killed_comparison_goes_on_to_the_same_table(
    found: Comparison, root: Path, tmp_path: Path
) -> None:
    """Killed within an entry: its claim is taken over; what others put there stays as it was."""
    recipe = tmp_path / "stripes.yaml"
    recipe.write_text(tiny(root).dump())
    out = tmp_path / "out"
    words = ["compare", str(recipe), "--arms", "seed,grow", "--seeds", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "easearch", *words], stderr=subprocess.DEVNULL
    )
    try:
        _wait(lambda: (out / "grow" / "seed-0" / "stage-0").exists(), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / "grow" / "seed-0" / CLAIM).exists()
    assert not (out / "grow" / "seed-0" / ENTRY).exists()
    first = (out / "seed" / "seed-0" / ENTRY).read_bytes()
    others = out / "grow" / "seed-0" / "notes.txt"
    others.write_text("of somebody else")
    again = compare(tiny(root), ["seed", "grow"], 1, out=out)
    for arm in ("seed", "grow"):
        assert lasting(at(again, arm)) == lasting(at(found, arm))
    assert (out / "seed" / "seed-0" / ENTRY).read_bytes() == first
    assert others.read_text() == "of somebody else"
    assert not list(out.glob(f"*/*/{CLAIM}"))


def _wait(there: Any, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while not there():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def arms() -> Iterator[dict[str, Arm]]:
    """The registry, put back afterwards."""
    before = dict(ARMS)
    yield ARMS
    ARMS.clear()
    ARMS.update(before)


def peeking(contest: Setting) -> Delivered:
    delivered = uniform.run(contest)
    list(contest.ready.feed.test())
    return delivered


def stingy(contest: Setting) -> Delivered:
    return uniform.from_scratch(replace(contest, compute=0.9 * contest.compute), contest.uniform)


def fallen(contest: Setting) -> Delivered:
    raise ZeroDivisionError("a fault")


def test_arms_that_cheat_or_fall_are_told_and_others_go_on(
    root: Path, tmp_path: Path, arms: dict[str, Arm]
) -> None:
    for name, run in (("peeking", peeking), ("stingy", stingy), ("fallen", fallen)):
        arms[name] = Arm(run=run, about=name)
    arms["waiting"] = Arm(run=uniform.run, about="waits", needs=("fallen",))
    asked = ["peeking", "stingy", "waiting", "uniform"]
    ended = compare(tiny(root), asked, 1, out=tmp_path)
    assert [row.arm for row in ended.rows] == ["uniform"]
    told = ended.failures
    assert "the test part was read before" in told["peeking, seed 0"]
    assert "expected" in told["stingy, seed 0"] and "to be spent" in told["stingy, seed 0"]
    assert "unexpected ZeroDivisionError" in told["fallen, seed 0"]
    assert "it needs fallen, seed 0, which failed" in told["waiting, seed 0"]
    page = (tmp_path / "comparison.html").read_text()
    assert "not complete" in page and "was read before" in page
    trace = json.loads((tmp_path / "fallen" / "seed-0" / FAILED).read_text())["trace"]
    assert "in fallen" in trace
    arms["stingy"] = arms["uniform"]  # mended: it is tried again
    again = compare(tiny(root), ["stingy"], 1, out=tmp_path)
    assert not again.failures and {row.arm for row in again.rows} == {"stingy", "uniform"}


def test_the_test_part_is_given_once(root: Path) -> None:
    recipe = tiny(root)
    guard = Guarded.over(DataFeed(dataset=data_of(recipe), recipe=recipe, device="cpu"))
    assert guard.test().samples == 64
    with pytest.raises(DataError, match="read before"):
        guard.test()
    assert len(guard.looks) == 2
    assert guard.validation().samples == 32


def test_refusals_write_nothing(found: Comparison, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arms, seeds, against, said in (
        (["grow", "unifrom"], 1, None, "no arm 'unifrom'; did you mean 'uniform'"),
        (["grow:fire"], 1, None, "criterion or KEY=VALUE behind the colon.*'firefly'"),
        (["uniform:x"], 1, None, "nothing behind the colon, or equal"),
        (["seed:x"], 1, None, "nothing behind the colon"),
        ([], 1, None, "one arm or more"),
        (["grow"], 0, None, "at least 1 seed"),
        (["grow"], 1, "uniform", "a reference among the arms"),
    ):
        with pytest.raises(RecipeError, match=said):
            compare(tiny(root), arms, seeds, out=out, against=against)
    other = tiny(root).changed({"training.rate": 0.1})
    with pytest.raises(RecipeError, match=r"training.rate was 0.05 and is 0.1"):
        compare(other, ["grow"], 1, out=found.path)
    assert not out.exists()
    (tmp_path / "terms.json").write_text('{"format": 7}')
    with pytest.raises(FileFormatError, match="expected format 2"):
        compare(tiny(root), ["grow"], 1, out=tmp_path)


def test_other_seeds_are_the_same_comparison(found: Comparison, root: Path) -> None:
    ahead = foresee(tiny(root).changed({"seed": 1}), ["uniform", "grow"], 2, out=found.path)
    assert ahead.terms == found.terms
    assert ahead.entries == ("uniform, seed 1", "grow, seed 1", "uniform, seed 2", "grow, seed 2")
    assert ahead.done == ("uniform, seed 1", "grow, seed 1")


def test_a_dry_run_writes_nothing(found: Comparison, root: Path, tmp_path: Path) -> None:
    ahead = foresee(tiny(root), ["found"], 3, out=tmp_path / "out", jobs=2)
    assert ahead.entries[:2] == ("grow, seed 0", "found, seed 0") and len(ahead.entries) == 6
    assert ahead.terms.compute == found.terms.compute
    assert ahead.total_compute == 6 * ahead.terms.compute
    assert 0 < ahead.seconds[0] <= ahead.seconds[1]
    assert ahead.total_seconds == (3 * ahead.seconds[0], 3 * ahead.seconds[1])
    assert not list(tmp_path.iterdir())


def test_claims_of_other_processes_are_kept_while_they_live(tmp_path: Path) -> None:
    """Those of dead ones are taken over, on their own host."""
    folder = tmp_path / "grow" / "seed-0"
    with claimed(folder, tmp_path) as mine:
        assert mine
        with claimed(folder, tmp_path) as second:
            assert not second
        assert (folder / CLAIM).exists()
    assert not (folder / CLAIM).exists()
    began = {"pid": os.getpid(), "host": socket.gethostname(), "began": "0"}
    for content, taken in (
        (began, True),  # the number of a process that is no more, used again
        ({"pid": 2**22 + 1, "host": socket.gethostname(), "began": None}, True),
        ({"pid": 2**22 + 1, "host": "another.host", "began": None}, False),
    ):
        (folder / CLAIM).write_text(json.dumps(content))
        with claimed(folder, tmp_path) as mine:
            assert mine == taken
        assert (folder / CLAIM).exists() != taken


def test_entries_are_read_in_order(found: Comparison) -> None:
    read = entries_in(found.path)
    assert [(e["seed"], e["arm"]) for e in read] == sorted((e["seed"], e["arm"]) for e in read)

"""The page of a comparison: whole, offline, safe, and honest about what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from easearch.comparing.files import ENTRY, Entry
from easearch.comparing.page import render
from easearch.comparing.results import Comparison, gathered
from easearch.comparing.terms import Terms

HOSTILE = '<script>alert(1)</script>"&$x^2$'


def terms(name: str = "stripes") -> Terms:
    return Terms(
        recipe={"name": name, "seed": 0},
        limits={"latency": 0.5, "params": 9000.0},
        units={"latency": "ms", "params": "params"},
        width_step=16,
        uniform={"stem.conv": 32, "head": 10},
        factor=2.25,
        share=0.97,
        compute=1.5e9,
        step=2e6,
        threads=1,
        date="2026-01-02T03:04:05+00:00",
        commit="abc1234",
        host={"cpu": "a processor"},
        versions={"easearch": "0.1.0"},
    )


def write(out: Path, arm: str, seed: int, accuracy: float, note: str = "") -> None:
    folder = Entry(arm=arm, seed=seed).folder(out)
    folder.mkdir(parents=True)
    proofs = [
        {"meter": "latency", "measured": 0.48, "predicted": 0.5, "meets": True},
        {"meter": "params", "measured": None, "predicted": 8000.0, "meets": True},
    ]
    content: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "test": {"accuracy": accuracy, "loss": 0.5},
        "limits": proofs,
        "meets": True,
        "compute": {"training": 1.5e9, "total": 1.5e9, "given": 1.5e9},
        "seconds": {"arm": 61.0},
        "macs": 1000,
        "params": 8000,
        "notes": [note] if note else [],
    }
    (folder / ENTRY).write_text(json.dumps(content))


def found(out: Path, seeds: int = 5, name: str = "stripes", note: str = "") -> Comparison:
    asked = []
    for seed in range(seeds):
        write(out, "uniform", seed, 0.8 + 0.01 * seed)
        write(out, "grow:firefly", seed, 0.82 + 0.011 * seed, note if seed == 0 else "")
        asked += [Entry(arm=arm, seed=seed) for arm in ("grow:firefly", "uniform", "seed")]
    return gathered(terms(name), asked, out)


def test_it_tells_every_number_that_matters(tmp_path: Path) -> None:
    page = render(found(tmp_path))
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")
    assert "Grow:firefly is ahead of uniform: +2.2 points" in words
    for told in ("84.20 %", "82.00 %", "+2.20", "5 of 5", "1.50 GMACs", "1 min 1 s", "0.480 ms"):
        assert told in words, told
    for told in ("abc1234", "a processor, 1 thread", "×2.25 in steps of 16", "0, 1, 2, 3, 4"):
        assert told in words, told
    assert "seed, seed 0 has not run" in words.lower()
    assert render(gathered(terms(), [Entry(arm="uniform", seed=0)], tmp_path)).count("<svg") == 2


def test_it_opens_offline_and_is_the_same_twice(tmp_path: Path) -> None:
    one = found(tmp_path)
    page = render(one)
    assert page == render(one)
    assert not re.search(r"(src|href)=\"(?!#)", page) and "<script" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_others_wrote_is_text(tmp_path: Path) -> None:
    page = render(found(tmp_path, name=HOSTILE, note=HOSTILE))
    assert "<script>" not in page and page.count("&lt;script&gt;") >= 2


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_drawn_and_claim_nothing(tmp_path: Path, seeds: int) -> None:
    page = render(found(tmp_path, seeds))
    assert "ahead of" not in page and "<svg" in page
    assert ("claims nothing" if seeds == 1 else "too few seeds") in page


def test_one_arm_alone_has_a_page(tmp_path: Path) -> None:
    write(tmp_path, "seed", 0, 0.7)
    page = render(gathered(terms(), [Entry(arm="seed", seed=0)], tmp_path))
    assert "70.00" in page and "not complete" not in page

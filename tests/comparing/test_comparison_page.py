"""The page of a comparison: whole, offline, safe, and honest about what is missing."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from made_terms import terms as made

from easearch.comparing.files import ENTRY, Entry
from easearch.comparing.results import Comparison, gathered
from easearch.comparing.telling.curves import lines_of
from easearch.comparing.telling.evidence import command
from easearch.comparing.telling.page import render, table_of
from easearch.comparing.terms import Terms
from easearch.recipe import parse_overrides

HOSTILE = '<script>alert(1)</script>"&$x^2$'


def terms(name: str = "stripes", **changes: Any) -> Terms:
    limits = {"latency": 0.5, "params": 9000.0}
    return made(limits, recipe={"name": name, "seed": 0}, changes=changes)


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
        "meets": True,
        "front": [
            {
                "test": {"accuracy": accuracy, "loss": 0.5},
                "limits": proofs,
                "meets": True,
                "macs": 1000,
                "params": 8000,
            }
        ],
        "compute": {"training": 1.5e9, "total": 1.5e9, "given": 1.5e9},
        "seconds": {"arm": 61.0},
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


# --- fronts


def front(out: Path, arms: dict[str, float], seeds: int = 5, name: str = "stripes") -> Comparison:
    """Three limits; every arm so far above or below the others."""
    asked = []
    limits = [{"latency": 0.5 * k, "params": 9000.0 * k} for k in (1, 2, 3)]
    for arm, base in arms.items():
        for seed in range(seeds):
            write(out, arm, seed, 0.0)
            path = Entry(arm=arm, seed=seed).folder(out) / ENTRY
            content = json.loads(path.read_text())
            (part,) = content["front"]
            content["front"] = [
                {
                    **part,
                    "test": {"accuracy": base + 0.02 * k + 0.001 * seed},
                    "limits": [{**proof, "measured": 0.48 * k} for proof in part["limits"]],
                }
                for k in (1, 2, 3)
            ]
            path.write_text(json.dumps(content))
            asked.append(Entry(arm=arm, seed=seed))
    return gathered(made(*limits, recipe={"name": name, "seed": 0}), asked, out)


def test_a_front_has_a_line_an_arm_and_a_table_a_limit(tmp_path: Path) -> None:
    arms = {"uniform": 0.70, "grow": 0.72, "sliced": 0.73}
    found = front(tmp_path, arms)
    page = render(found)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("<svg") == 4
    for told in ("Limit 1: latency 0.500 ms, parameters 9,000", "Limit 3: latency 1.50 ms"):
        assert told in words, told
    assert "Grow is ahead of uniform: +2.0 points" in words
    for told in ("74.20 %", "72.20 %", "all 3 limits together", "Hypervolume", "×4.25"):
        assert told in words, told
    assert found.rows[0].hypervolume is not None
    assert f"{100 * found.rows[0].hypervolume.mean:.2f}" in words
    assert all(f"{arm}: {100 * base + 2.2:.1f}, " in page for arm, base in arms.items())
    assert page == render(found)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_one_limit_has_neither(tmp_path: Path) -> None:
    page = render(found(tmp_path))
    assert "ypervolume" not in page and "Limit 1" not in page and page.count("<svg") == 2


def test_every_arm_of_a_front_can_be_told_from_the_others(tmp_path: Path) -> None:
    arms = [f"grow:at=[0.{k}]" for k in range(1, 16)]
    one = front(tmp_path, {"uniform": 0.7, **dict.fromkeys(arms, 0.71)}, seeds=1)
    lines = lines_of(one.rows, "uniform")
    assert len({(line.role, line.marker) for line in lines}) == len(lines) == 16
    assert [line.row.arm for line in lines if line.role == "ink"] == ["uniform"]
    assert "<svg" in render(one)


def test_hostile_names_in_a_front_are_text(tmp_path: Path) -> None:
    page = render(front(tmp_path, {"uniform": 0.7, "grow": 0.7}, 1, name=HOSTILE))
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_the_table_of_a_front_has_its_area(tmp_path: Path) -> None:
    head, *rows = table_of(front(tmp_path, {"uniform": 0.7, "grow": 0.72}))
    assert "hypervolume" in head and all(len(row) == len(head) for row in rows)


def test_the_command_says_again_what_was_changed(tmp_path: Path) -> None:
    changes = {"seed": 3, "training.rate": 0.2, "growth.at": [0.1, 0.5], "data.name": "my words"}
    asked = [Entry(arm="grow:at=[0.1]", seed=seed) for seed in (3, 4)]
    for one in asked:
        write(tmp_path, one.arm, one.seed, 0.8)
    said = command(gathered(terms(**changes), asked, tmp_path))
    verb, *words = shlex.split(said)[1:]
    assert verb == "compare" and words[:3] == ["stripes.yaml", "--arms", "grow:at=[0.1]"]
    assert words[3:5] == ["--seeds", "2"]
    assert parse_overrides(words[6::2]) == changes

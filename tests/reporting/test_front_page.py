"""The page of a front: what of a damaged folder it still tells, and that it is as safe as any."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_folder import certificate, epochs, evidence, facts
from test_page import HOSTILE, Page

from easearch.errors import FileFormatError
from easearch.recipe.evidence import MEASURED, default_of
from easearch.recipe.recipe import points_of
from easearch.reporting import write_report
from easearch.reporting.branches import tree_of
from easearch.reporting.digits import percent, prefixed, quantity
from easearch.reporting.reading import read_front

REPOSITORY = Path(__file__).parents[2]
LIMITS = (0.1, 0.14, 0.15)
BEGAN, SPENT = (3.3e11, 8.8e11, 13.2e11), (1.1e11, 2.2e11, 3.3e11)
TRUNK = 12
"""Epochs of the trunk."""


def point(number: int) -> dict[str, Any]:
    proof = {**certificate()["proofs"][0], "limit": LIMITS[number]}
    proof["measured"] = 0.9 * LIMITS[number]
    return {
        "folder": f"limit-{number + 1}",
        "test": {"accuracy": 0.8 + 0.03 * number, "loss": 0.5, "images": 2000},
        "params": 10_000 * (number + 1),
        "macs": 1e6 * (number + 1),
        "meets": True,
        "proofs": [proof],
        "began": BEGAN[number],
        "spent": SPENT[number],
    }


def rows(number: int) -> list[dict[str, Any]]:
    """The trunk's epochs as far as the branch, then its own."""
    told = epochs()
    trunk = [row for row in told[:TRUNK] if row["compute"] <= BEGAN[number]]
    own = (BEGAN[number] + 0.5 * SPENT[number], BEGAN[number] + SPENT[number])
    return [*trunk, *({**told[-1], "compute": at} for at in own)]


@pytest.fixture
def front(tmp_path: Path) -> Path:
    """Three networks, the second at 1.4 times the first's limit."""
    folder = tmp_path / "front"
    kept = ("name", "seed", "host", "versions", "seconds", "date", "seed_cost", "notes", "device")
    whole = {key: facts()[key] for key in kept}
    total = BEGAN[-1] + sum(SPENT)
    told = {
        **whole,
        "compute": {"training": total, "total": total},
        "front": [point(number) for number in range(3)],
    }
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(told))
    _recipe(
        folder,
        {"latency": list(LIMITS)},
        {"even": default_of("growth.even"), "selector": "duals"},
    )
    (folder / "evidence.json").write_text(json.dumps(evidence()))
    for number in range(3):
        there = folder / f"limit-{number + 1}"
        there.mkdir()
        text = "".join(json.dumps(row) + "\n" for row in rows(number))
        (there / "history.jsonl").write_text(text)
    return folder


def _recipe(folder: Path, limits: dict[str, Any], growth: dict[str, Any]) -> None:
    values = {"name": "x", "budget": {"limits": limits}, "growth": growth}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def change(top: Path, number: int, **values: Any) -> None:
    file = top / "run.json"
    told = json.loads(file.read_text())
    told["front"][number].update(values)
    file.write_text(json.dumps(told))


def test_every_number_that_matters_is_on_the_page(front: Path) -> None:
    page = page_of(front)
    expected = ["Every limit is kept", "3 networks from one run", "×"]
    for number in range(3):
        one = point(number)
        expected += [one["folder"], f"limit {number + 1}", percent(one["test"]["accuracy"])]
        expected += [quantity(LIMITS[number], "ms"), quantity(0.9 * LIMITS[number], "ms")]
        expected += [prefixed(SPENT[number], "MACs"), prefixed(one["macs"])]
    total = BEGAN[-1] + sum(SPENT)
    expected += [f"{prefixed(BEGAN[-1], 'MACs')}, {percent(BEGAN[-1] / total, 0)}"]
    expected += [evidence()["reading"], *facts()["notes"], *facts()["versions"].values()]
    assert [wanted for wanted in expected if wanted not in page.text] == []
    links = [value for name, value in page.attributes if name == "href" and value]
    assert [one for one in links if not one.startswith("#")] == [
        f"limit-{number}/report.html" for number in (1, 2, 3)
    ]
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert front.joinpath("report.html").read_bytes() == write_report(front).read_bytes()


def test_the_trunk_is_drawn_once_and_branches_from_where_they_leave(front: Path) -> None:
    tree = tree_of(read_front(front))
    assert tree is not None
    assert tree.trunk[0] == [row["compute"] for row in epochs()[:TRUNK]]
    for number, (_, (x, _)) in enumerate(tree.branches):
        assert x == pytest.approx(
            [BEGAN[number], BEGAN[number] + 0.5 * SPENT[number], BEGAN[number] + SPENT[number]]
        )
    assert tree.bars[0] == ("trunk", 0.0, BEGAN[-1])
    assert sum(spent for *_, spent in tree.bars) == pytest.approx(tree.total)


def test_a_missed_limit_is_the_headline(front: Path) -> None:
    proof = {**point(1)["proofs"][0], "measured": 1.2 * LIMITS[1], "meets": False}
    change(front, 1, meets=False, proofs=[proof])
    text = page_of(front).text
    assert "Limit 2 is missed" in text and percent(1.2, 0) in text and "Every limit" not in text


def test_what_is_missing_is_named_and_the_rest_is_told(front: Path) -> None:
    (front / "limit-2" / "history.jsonl").unlink()
    (front / "limit-3" / "history.jsonl").write_text("{")
    (front / "evidence.json").write_text("{")
    text = page_of(front).text
    assert "In limit-2: history.jsonl is missing" in text
    assert "In limit-3: line 1 of history.jsonl is damaged" in text
    assert "evidence.json is damaged" in text
    assert "Trunk and branches" in text and "limit 2" in text
    for number in (1, 2, 3):
        (front / f"limit-{number}" / "history.jsonl").unlink(missing_ok=True)
    assert "Trunk and branches" not in page_of(front).text


@pytest.mark.parametrize("folder", ["../../etc", "limit-1/..", "x", ""])
def test_a_folder_that_leads_elsewhere_is_refused(front: Path, folder: str) -> None:
    change(front, 0, folder=folder)
    with pytest.raises(FileFormatError, match=r"run\.json.*folder"):
        write_report(front)


def test_hostile_words_stay_words(front: Path) -> None:
    told = json.loads((front / "run.json").read_text())
    (front / "run.json").write_text(json.dumps({**told, "name": HOSTILE, "notes": [HOSTILE]}))
    change(front, 0, proofs=[{**point(0)["proofs"][0], "meter": HOSTILE, "unit": HOSTILE}])
    source = write_report(front).read_text(encoding="utf-8")
    assert "<script" not in source
    assert html.escape(HOSTILE, quote=False) in source.replace("&#34;", '"')


# --- what defaults rest on


def test_the_page_says_what_untouched_defaults_rest_on(front: Path) -> None:
    assert MEASURED["growth.even"].claim in page_of(front).text
    assert "growth.even</code> (1): " in write_report(front).read_text(encoding="utf-8")
    assert MEASURED["growth.selector"].claim not in page_of(front).text  # the recipe says another
    (front / "evidence.json").unlink()
    page = page_of(front)
    assert "What the defaults rest on" in page.headings
    assert MEASURED["growth.even"].report in page.text
    _recipe(front, {"latency": list(LIMITS)}, {"even": 0.5, "selector": "duals"})
    assert "What the defaults rest on" not in page_of(front).headings


@pytest.mark.parametrize("field", MEASURED)
def test_what_a_default_rests_on_is_there(field: str) -> None:
    default_of(field)  # there is such a field
    assert (REPOSITORY / MEASURED[field].report).is_file()
    assert not MEASURED[field].claim.endswith(".")


def test_a_field_that_means_nothing_to_a_run_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from easearch.recipe import evidence as place

    measured = dict.fromkeys(("growth.at", "front.trunk"), MEASURED["growth.criterion"])
    monkeypatch.setattr(place, "MEASURED", measured)
    values = {
        "growth": {"at": default_of("growth.at")},
        "front": {"trunk": default_of("front.trunk")},
    }
    one = {**values, "budget": {"limits": {"macs": "2x"}}}
    several = {**values, "budget": {"limits": {"macs": ["2x", "3x"], "params": "9x"}}}
    assert (points_of(one), points_of(several)) == (1, 2)
    assert set(place.grounds(one)) == {"growth.at"}
    assert set(place.grounds(several)) == {"front.trunk"}
    assert place.grounds({}) == {}

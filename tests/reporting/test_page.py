"""The page opens offline, tells every number that matters, says what is missing, and is safe."""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from run_folder import LIMITS, RECIPE, STAGES, certificate, epochs, evidence, facts, steps

from easearch.errors import FileFormatError
from easearch.reporting import write_report
from easearch.reporting.digits import count, percent, prefixed, quantity, significant

PARTS = {
    "history.jsonl": "The run",
    "steps.jsonl": "Promised and kept",
    "layers.json": "Cost of each layer",
    "certificate.json": "Certificate",
    "evidence.json": "Against its rivals",
}
HOSTILE = '<script>alert(1)</script>"&$x^2$'


class Page(HTMLParser):
    """Tags, attributes and text, as a browser would see them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self._in_heading = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._in_heading = tag == "h2"

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_heading:
            self.headings.append(data)
            self._in_heading = False

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_nothing_is_fetched(run: Path) -> None:
    source = write_report(run).read_text(encoding="utf-8")
    page = Page(source)
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "embed", "base"}
    links = [v for name, v in page.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert links and all(link and link.startswith("#") for link in links)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))
    assert "@import" not in source and "@font-face" not in source and "http" not in source


def test_ids_are_unique_and_every_reference_has_its_target(run: Path) -> None:
    page = page_of(run)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 100
    used = {v[1:] for name, v in page.attributes if name == "href" and v}
    used |= set(re.findall(r"url\(#([^)]*)\)", " ".join(v or "" for _, v in page.attributes)))
    assert used <= set(ids)


def test_the_same_folder_gives_the_same_bytes(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_only_the_report_is_written(run: Path) -> None:
    before = {file: file.read_bytes() for file in run.iterdir()}
    target = write_report(run)
    after = {file: file.read_bytes() for file in run.iterdir()}
    after.pop(target)
    assert after == before


def test_every_number_that_matters_is_on_the_page(run: Path) -> None:
    told, proof, last = facts(), certificate()["proofs"][0], epochs()[-1]
    latency = LIMITS["latency"]["limit"]
    expected = [
        quantity(latency, "ms"),
        quantity(proof["measured"], "ms"),
        quantity(proof["predicted"], "ms", 4),
        percent(proof["error"], sign=True),
        percent(proof["noise"]),
        percent(told["test"]["accuracy"]),
        count(told["test"]["images"]),
        count(told["params"]),
        prefixed(told["macs"]),
        prefixed(told["compute"]["total"], "MACs"),
        "1 multiply-add = 1 MAC",
        significant(last["loss"]),
        significant(last["validation_loss"]),
        percent(last["validation_accuracy"]),
        told["status_text"],
        *told["notes"],
        *told["versions"].values(),
        proof["meter"].capitalize(),
        certificate()["sha256"],
        RECIPE,
    ]
    for step in steps():
        expected += [significant(step["promised"]), significant(step["kept"])]
        expected += [percent(step["kept"] / step["promised"], 0), str(step["moves"])]
        expected += [f"{significant(step['loss_after'])} taken", percent(step["held_out"], 0)]
        trusted = f"unseen images show {percent(step['held_out'], 0)} of the claimed gain"
        expected.append(f"Growth {step['round']}: {trusted}, halves agree 0.93.")
    expected += ["new layers", "halves agree"]
    for row in evidence()["rows"]:
        expected += [row["arm"], percent(row["accuracy_mean"])[:4], percent(row["accuracy_std"])]
    for group, width in STAGES[0].items():
        grown = STAGES[2][group]
        expected.append(f"{width} → {grown}, " if grown != width else str(width))
    text = page_of(run).text
    assert [wanted for wanted in expected if wanted not in text] == []


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    page = page_of(run)
    assert f"{name} is missing" in page.text
    assert not [title for title in page.headings if title.startswith(PARTS[name])]


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("content", ["{", '{"rows": 3}', "[]", '"\\ud800"', "\x00\xff"])
def test_a_damaged_part_is_named(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content, encoding="latin-1")
    page = page_of(run)
    assert f"{name} is damaged" in page.text
    assert not [title for title in page.headings if title.startswith(PARTS[name])]


def test_a_half_written_last_line_costs_only_itself(run: Path) -> None:
    history = run / "history.jsonl"
    history.write_text(history.read_text()[:-40])
    page = page_of(run)
    assert "Line 20 of history.jsonl is damaged" in page.text
    assert "The run" in page.headings


def test_a_run_with_nothing_but_its_beginning(run: Path) -> None:
    for name in PARTS:
        (run / name).unlink()
    (run / "run.json").write_text('{"name": "cut short"}')
    text = page_of(run).text
    assert "Not certified" in text and "cut short" in text


@pytest.mark.parametrize("name", ["run.json", "recipe.yaml"])
@pytest.mark.parametrize("content", [None, "[", "3", "{}"])
def test_without_recipe_or_facts_it_is_no_run(run: Path, name: str, content: str | None) -> None:
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_text(content)
    with pytest.raises(FileFormatError, match=re.escape(name)):
        write_report(run)
    assert not (run / "report.html").exists()


def test_a_folder_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="expected a run folder"):
        write_report(tmp_path / "nowhere")


def test_no_evidence_asked_for_none_missed(run: Path) -> None:
    (run / "evidence.json").unlink()
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("evidence:", "other:"))
    assert "evidence.json is missing" not in page_of(run).text


def test_hostile_words_stay_words(run: Path) -> None:
    change(run / "run.json", name=HOSTILE, notes=[HOSTILE], status_text=HOSTILE)
    change(run / "evidence.json", title=HOSTILE, reading=HOSTILE, rows=[_arm(HOSTILE)])
    (run / "recipe.yaml").write_text(f"name: x\n# {HOSTILE}\n")
    for file in run.glob("*.json*"):
        file.write_text(file.read_text().replace("blocks.0.", json.dumps(HOSTILE)[1:-1]))
    source = write_report(run).read_text(encoding="utf-8")
    assert "<script" not in source
    assert "script" not in Page(source).tags
    assert html.escape(HOSTILE, quote=False) in source.replace("&#34;", '"')


def _arm(name: str) -> dict[str, Any]:
    return {"arm": name, "accuracy_mean": 0.9, name: 1}


def test_a_missed_limit_is_the_headline(run: Path) -> None:
    proof = certificate()["proofs"][0]
    missed = {**proof, "measured": proof["limit"] * 1.2, "meets": False}
    change(run / "certificate.json", meets=False, proofs=[missed])
    text = page_of(run).text
    assert "It does not fit." in text and "over the limit of" in text


def test_numbers_that_are_none_do_not_stop_the_page(run: Path) -> None:
    rows = epochs()
    rows[-1] = {**rows[-1], "loss": float("nan"), "validation_loss": float("inf")}
    (run / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[-1:]))
    bad = {**steps()[0], "line_search": [[0.0, 0.7], [1.0, float("inf")]], "promised": 0.0}
    (run / "steps.jsonl").write_text(json.dumps(bad) + "\n")
    assert "not finite" in page_of(run).text


def test_a_run_that_stepped_back_shows_the_widths_it_kept(run: Path) -> None:
    change(run / "run.json", widths=STAGES[1])
    text = page_of(run).text
    assert "after growth 1" in text and "after growth 2" not in text


def test_growth_without_a_score_promises_nothing_and_says_so_nowhere(run: Path) -> None:
    silent = {"line_search": [[0.0, 0.7]], "promised": -1e-7}
    rows = [json.dumps({**step, **silent}) for step in steps()]
    (run / "steps.jsonl").write_text("\n".join(rows) + "\n")
    page = page_of(run)
    assert "Promised and kept" not in page.headings and "Widths" in page.headings


def test_layers_too_cheap_for_a_bar_are_left_out_and_order_is_kept(run: Path) -> None:
    data = json.loads((run / "layers.json").read_text())
    for table in (data["seed"], data["final"]):
        for meter, rows in table.items():
            table[meter] = {"stem.norm": 0.0 if meter != "params" else 16.0, **rows, "(all)": 1e-15}
    (run / "layers.json").write_text(json.dumps(data))
    page = page_of(run)
    assert "stem.norm" not in page.text and "(all)" not in page.text
    assert page.text.index("blocks.0.depthwise") < page.text.index("blocks.1.depthwise")


def test_the_measured_cost_stands_beside_the_predicted_curve(run: Path) -> None:
    proof = certificate()["proofs"][0]
    share = percent(proof["measured"] / proof["limit"], 0)
    assert f"latency, measured {share}" in page_of(run).text


def test_a_run_of_an_earlier_version_has_no_columns_for_what_it_did_not_write(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    old = [{k: v for k, v in r.items() if k not in ("rank_correlation", "layers")} for r in rows]
    (run / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    text = page_of(run).text
    assert "is damaged" not in text
    assert "halves agree" not in text.replace("Halves agree:", "")
    assert "new layers" not in text
    assert "Growth 1: unseen images show" in text


ODD = ("run.json", "certificate.json", "layers.json", "history.jsonl", "steps.jsonl")


def poisoned(text: str, number: str, turn: int) -> str:
    """The JSON text with every third number, from the given one, replaced."""
    found = list(re.finditer(r"(?<=: )-?\d+(\.\d+)?(e-?\d+)?(?=[,}\s])", text))
    for one in reversed(found[turn::3]):
        text = text[: one.start()] + number + text[one.end() :]
    return text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "null"])
@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("name", ODD)
def test_numbers_that_are_none_are_said_and_left_out(
    run: Path, name: str, number: str, turn: int
) -> None:
    file = run / name
    file.write_text(poisoned(file.read_text(), number, turn))
    try:
        page = page_of(run)
    except FileFormatError as error:
        assert name == "run.json" and "\n" not in str(error)
        return
    assert name in page.text or number == "null"
    assert not re.search(r"\b(nan|inf|NaN|Infinity)\b", page.text)


def test_a_certificate_that_measured_nothing_proves_nothing(run: Path) -> None:
    whole = json.loads((run / "certificate.json").read_text())
    whole["proofs"][0]["measured"] = math.nan
    (run / "certificate.json").write_text(json.dumps(whole))
    page = page_of(run)
    assert "Not certified" in page.text and "It fits" not in page.text
    assert "certificate.json has no number for proofs.0.measured" in page.text


def test_a_measurement_outside_the_predicted_interval_stands_at_the_head(run: Path) -> None:
    assert "Outside the predicted interval" not in page_of(run).text
    whole = json.loads((run / "certificate.json").read_text())
    proof = whole["proofs"][0]
    proof |= {"interval": 0.05, "noise": 0.01, "measured": 0.7 * proof["predicted"]}
    (run / "certificate.json").write_text(json.dumps(whole))
    source = write_report(run).read_text(encoding="utf-8")
    assert 0 < source.index("Outside the predicted interval") < source.index("<h2>")

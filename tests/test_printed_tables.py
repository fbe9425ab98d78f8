"""Tables within a width: no line is longer, no word and no number is broken, nothing is lost."""

from __future__ import annotations

import re

import pytest

from easearch.table import aligned, cells, folded, shortened, wrapped

ROWS = [
    ("channel group", "seed", "expected", "at most", "grows"),
    ("features.12.block.0.1024.depthwise.conv", "16", "1,024", "12,345,678", "yes"),
    ("頭部.分類", "8", "16", "32", "no: its channels are the network's output, and that is fixed"),
]


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 200])
@pytest.mark.parametrize("words", [None, 1])
def test_every_line_fits_and_every_cell_is_there(width: int, words: int | None) -> None:
    lines = folded(ROWS, width, words)
    assert max(map(cells, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for number in ("1,024", "12,345,678", "16", "32"):
        assert re.search(rf"(?<![\d,]){number}(?!\d|,\d)", text)
    for word in ("network's", "output,", "expected", "grows"):
        assert word in text.split() or word in text


def test_what_fits_is_a_table_of_numbers_to_the_right() -> None:
    rows = [("layer", "macs"), ("a", "1"), ("bb", "1,000")]
    expected = ["layer   macs", "-----  -----", "a          1", "bb     1,000"]
    assert folded(rows, 60, 1) == aligned(rows, 1) == expected


@pytest.mark.parametrize("most", range(5, 40))
def test_a_long_name_loses_its_middle_and_no_part_of_a_number(most: int) -> None:
    name = "features.12.block.0.1024.depthwise.conv77"
    short = shortened(name, most)
    assert cells(short) <= most
    head, _, tail = short.partition("…")
    assert name.startswith(head) and name.endswith(tail)
    numbers = set(re.findall(r"\d+", name))
    assert set(re.findall(r"\d+", short)) <= numbers


def test_a_path_stays_whole() -> None:
    path = "/a/very/long/path/that-has-hyphens/and/no/spaces/at/all/report.html"
    assert path in wrapped(f"open {path} in a browser", 40)

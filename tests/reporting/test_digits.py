"""Numbers in the words of a reader."""

from __future__ import annotations

import math

import pytest

from easearch.reporting.digits import (
    clipped,
    count,
    day,
    duration,
    fraction_name,
    percent,
    prefixed,
    quantity,
    ratio,
    short_names,
    significant,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.048249, "0.0482"),
        (0.09999, "0.100"),
        (9.999, "10.0"),
        (4.8249, "4.82"),
        (1234.5, "1,234"),
        (-0.5, "−0.500"),
        (math.nan, "not finite"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.48249, "ms", "0.482 ms"),
        (192_000, "MACs", "192 kMACs"),
        (999_999, "MACs", "1.00 MMACs"),
        (2.386e12, "MACs", "2.39 TMACs"),
        (12_345, "params", "12,345"),
        (12_544, "bytes", "12.5 kB"),
        (3, "widgets", "3.00 widgets"),
    ],
)
def test_costs_carry_their_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit).replace("\N{NO-BREAK SPACE}", " ") == text


def test_the_rest() -> None:
    assert percent(0.8765).replace("\N{NO-BREAK SPACE}", " ") == "87.6 %"
    assert percent(-0.012, sign=True).startswith("−1.2")
    assert percent(0.0, sign=True).startswith("0.0")
    assert percent(-0.0001).startswith("0.0")
    assert duration(0.42).startswith("0.42") and duration(252).split() == ["4", "min", "12", "s"]
    assert duration(3780).split() == ["1", "h", "03", "min"]
    assert count(41_364.0) == "41,364" and prefixed(800.0) == "800"
    assert ratio(3, 2) == "×1.50" and ratio(1, 0) == ""
    assert fraction_name(0.25) == "¼" and fraction_name(0.1) == "0.1" and fraction_name(4.0) == "4"


def test_names_are_shortened_only_where_they_stay_apart() -> None:
    assert short_names(["stem.conv", "a.conv", "a"]) == ["stem", "a.conv", "a"]
    assert clipped("features.12.pointwise", 11) == "featu…twise"
    assert len(clipped("x" * 50, 11)) == 11


def test_a_date_is_told_to_the_minute() -> None:
    assert day("2026-11-21T10:40:12+00:00") == "2026-11-21 10:40 UTC"
    assert day("2026-11-21") == "2026-11-21" and day("yesterday") == "yesterday"

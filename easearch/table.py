"""Tables as text: columns aligned under a rule; folded to a width, no word or number is broken."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

LEAST_PROSE = 24
"""Columns below which the last column of a table is not folded: every row is a paragraph then."""
LEAST_NAME = 16
"""Columns to which long names are shortened, before rows become paragraphs."""
CUT = "…"

Rows = Sequence[Sequence[str]]


def aligned(rows: Rows, words: int | None = None) -> list[str]:
    """Lines of equal columns, the second a rule.

    Args:
        rows: the head first.
        words: how many columns are set to the left; the rest are numbers. None: all.
    """
    widths = [max(cells(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(_set(row, widths, words)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def folded(rows: Rows, width: int, words: int | None = None) -> list[str]:
    """The same within so many columns.

    Where a table is too wide its last column is folded, if it is prose; then the names in the first
    are shortened in their middle; where that is not enough either, every row is a paragraph: its
    name, and its cells with what they are.

    Args:
        rows: the head first, the first column names.
        width: columns at most.
        words: as in `aligned`.
    """
    if max(map(cells, aligned(rows, words))) <= width:
        return aligned(rows, words)
    own = max(cells(row[0]) for row in rows)
    for name in range(own, min(own, LEAST_NAME) - 1, -1):
        short = [[shortened(row[0], name), *row[1:]] for row in rows]
        lines = _prose(short, width) if words is None else aligned(short, words)
        if lines and max(map(cells, lines)) <= width:
            return lines
    return _paragraphs(rows, width)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of whole words; a word that is wider than a line has one of its own."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def shortened(name: str, most: int) -> str:
    """A name within so many columns: its middle is cut, never a number in it."""
    if cells(name) <= most:
        return name
    left = max((most - 1) // 2, 1)
    head, tail = name[:left], name[len(name) - max(most - 1 - left, 1) :]
    if head[-1:].isdigit() and name[len(head)].isdigit():
        head = head.rstrip("0123456789")
    if tail[:1].isdigit() and name[-len(tail) - 1].isdigit():
        tail = tail.lstrip("0123456789")
    return f"{head}{CUT}{tail}"


def cells(text: str) -> int:
    """Columns that a text takes on a terminal: two for a wide character, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def _within(text: str, most: int) -> str:
    """The text, its words no longer than a line: names are shortened in their middle."""
    return " ".join(shortened(word, most) for word in text.split(" "))


def _set(row: Sequence[str], widths: Sequence[int], words: int | None) -> list[str]:
    """The cells, each as wide as its column; numbers to the right."""
    found = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        room = " " * (width - cells(cell))
        found.append(cell + room if words is None or i < words else room + cell)
    return found


def _prose(rows: Rows, width: int) -> list[str]:
    """The table with its last column folded; nothing where that has no room."""
    widths = [max(cells(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = sum(widths) + 2 * len(widths)
    if width - left < LEAST_PROSE:
        return []
    lines: list[str] = []
    for row in rows:
        first, *more = wrapped(_within(row[-1], width - left), width - left)
        lines.append("  ".join([*_set(row[:-1], widths, None), first]).rstrip())
        lines += [" " * left + one for one in more]
    head = len(wrapped(rows[0][-1], width - left))
    last = min(width - left, max(cells(row[-1]) for row in rows))
    rule = "  ".join("-" * one for one in (*widths, last))
    return [*lines[:head], rule, *lines[head:]]


def _paragraphs(rows: Rows, width: int) -> list[str]:
    """Every row as its name and its cells, each with the head of its column."""
    heads, *body = rows
    lines: list[str] = []
    for name, *values in body:
        lines.append(shortened(name, width))
        named = [
            f"{head} {value}" if head else value
            for head, value in zip(heads[1:], values, strict=True)
            if value
        ]
        lines += wrapped(_within(", ".join(named), width - 2), width, "  ")
    return lines

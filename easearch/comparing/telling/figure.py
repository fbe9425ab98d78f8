"""The figure of a comparison: every arm's accuracy and its differences to the reference, the seeds
as dots, means as strokes, intervals as lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from easearch.comparing.judge import Row
from easearch.comparing.paired import Interval
from easearch.reporting.digits import clipped
from easearch.reporting.style import (
    COLOUR,
    NARROW,
    SMALL,
    figure_of,
    grid,
    heading,
    inline,
    panel,
)

STEP = 34.0
"""Pixels from arm to arm."""
HEAD, FOOT, GAP = 34.0, 40.0, 36.0
ROLES = {"ahead": "second", "behind": "growth", "reference": "ink"}
"""Claim -> colour; others are blue."""


def figure(rows: Sequence[Row], reference: str) -> Markup:
    """Both panels, side by side on a page and one above the other on a phone."""
    told = "; ".join(f"{row.arm}: {100 * row.accuracy.mean:.1f} percent" for row in rows)

    def draw(width: float) -> Figure:
        return _drawn(rows, reference, width)

    return inline("arms", f"Accuracy of every arm. {told}", draw)


def wrapped(name: str, width: int) -> str:
    """An arm's name in lines of at most so many letters, two at most."""
    lines = textwrap.wrap(name.replace("+", " +"), width)
    return "\n".join([lines[0], clipped(" ".join(lines[1:]), width)] if lines[1:] else lines)


def _drawn(rows: Sequence[Row], reference: str, width: float) -> Figure:
    narrow = width <= NARROW
    names = [wrapped(row.arm, 16 if narrow else 30) for row in rows]
    left = 6.6 * max(len(line) for name in names for line in name.split("\n")) + 14
    tall = STEP * len(rows)
    stacked = HEAD + tall + FOOT
    paired = any(row.accuracy.differences for row in rows)
    whole = figure_of(width, (2 if narrow and paired else 1) * stacked)
    room = width - left - 12
    first = room if narrow or not paired else (room - GAP) / 2
    axes = panel(whole, left, HEAD, first, tall)
    found = [row.accuracy for row in rows]
    _rows(axes, rows, [(one.values, one.mean, one.interval) for one in found], names)
    heading(axes, "test accuracy (%)")
    if not paired:
        return whole
    at = (left, HEAD + stacked) if narrow else (left + first + GAP, HEAD)
    beside = panel(whole, at[0], at[1], first, tall)
    shown = [(one.differences, one.difference, one.difference_interval) for one in found]
    _rows(beside, rows, shown, names if narrow else [""] * len(rows))
    beside.axvline(0, color=COLOUR["ink"], linewidth=1, zorder=1)
    heading(beside, f"points against {reference}, paired")
    return whole


def _rows(
    axes: Axes,
    rows: Sequence[Row],
    shown: Sequence[tuple[Sequence[float], float | None, Interval | None]],
    names: Sequence[str],
) -> None:
    grid(axes, "x")
    for at, (row, (dots, mean, interval)) in enumerate(zip(rows, shown, strict=True)):
        colour = COLOUR[ROLES.get(row.claim, "grown")]
        if interval is not None:
            ends: Any = [100 * end for end in interval]
            axes.plot(ends, [at, at], color=colour, linewidth=5, alpha=0.28, zorder=2)
        values = [100 * value for value in dots]
        axes.scatter(values, [at] * len(values), s=22, color=colour, linewidth=0, zorder=3)
        if mean is not None:
            top, end = at - 0.3, at + 0.3
            axes.plot([100 * mean] * 2, [top, end], color=colour, linewidth=2, zorder=4)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels(names)
    for label in axes.get_yticklabels():
        label.set_fontsize(SMALL + 1)
        label.set_color(COLOUR["ink"])
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)

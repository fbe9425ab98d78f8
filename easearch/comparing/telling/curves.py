"""The figure of a comparison of fronts: every arm's accuracy over what its networks cost, a line an
arm, the seeds as dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from easearch.comparing.judge import Row, meter_of
from easearch.comparing.terms import Terms
from easearch.reporting.digits import clipped, meter_title, quantity
from easearch.reporting.style import (
    COLOUR,
    NARROW,
    SMALL,
    figure_of,
    grid,
    heading,
    inline,
    panel,
    spread,
)

TALL, HEAD, FOOT, LEFT, LINE = 300.0, 34.0, 44.0, 44.0, 15.0
LETTER = 0.58 * SMALL
"""Pixels of a letter, about."""
LABEL = 66.0
"""Pixels that the label of a limit takes, with the space beside it."""
COLOURS = ("grown", "growth", "second", "third", "fourth", "quiet")
MARKERS = (("o", "-"), ("s", "--"), ("D", ":"), ("^", "-."))
"""And lines: arms that share a colour differ in these."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """How an arm is drawn."""

    row: Row
    role: str
    marker: str = "o"
    dashes: str = "-"


def curves(rows: Sequence[Row], reference: str, terms: Terms) -> Markup:
    """Accuracy over the first meter whose limits differ, on a page and on a phone; nothing at one
    limit.
    """
    meter = meter_of(terms)
    if meter is None or not rows:
        return Markup("")
    lines = lines_of(rows, reference)
    told = "; ".join(
        f"{row.arm}: {', '.join(f'{100 * one.accuracy.mean:.1f}' for one in row.front)} percent"
        for row in rows
    )
    described = f"Accuracy of every arm over the limits of the front. {told}"
    return inline("front", described, lambda width: _drawn(lines, meter, terms, width))


def lines_of(rows: Sequence[Row], reference: str) -> list[Line]:
    """A colour and a marker an arm; the reference in ink."""
    found, others = [], 0
    for row in rows:
        if row.arm == reference:
            found.append(Line(row=row, role="ink"))
            continue
        turn, place = divmod(others, len(COLOURS))
        marker, dashes = MARKERS[turn % len(MARKERS)]
        found.append(Line(row=row, role=COLOURS[place], marker=marker, dashes=dashes))
        others += 1
    return found


def _drawn(lines: Sequence[Line], meter: str, terms: Terms, width: float) -> Figure:
    names = [clipped(line.row.arm, 16 if width <= NARROW else 30) for line in lines]
    right = LETTER * max(map(len, names)) + 20
    whole = figure_of(width, HEAD + TALL + FOOT)
    axes = panel(whole, LEFT, HEAD, width - LEFT - right, TALL)
    heading(axes, f"test accuracy (%) by {meter_title(meter)} of the file")
    grid(axes)
    for line in lines:
        _line(axes, line, meter)
    low, high = axes.get_xlim()
    limits = [point.limits[meter] for point in terms.points]
    pad = 0.02 * (max(high, limits[-1]) - min(low, limits[0]))
    axes.set_xlim(min(low, limits[0] - pad), max(high, limits[-1] + pad))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    _limits(axes, limits, terms.units[meter], width - LEFT - right)
    _names(axes, lines, names)
    return whole


def _line(axes: Axes, line: Line, meter: str) -> None:
    colour, there = COLOUR[line.role], line.row.front
    costs = [one.costs[meter] for one in there]
    for cost, one in zip(costs, there, strict=True):
        seeds = [100 * value for value in one.accuracy.values]
        axes.plot([cost] * 2, [min(seeds), max(seeds)], color=colour, linewidth=1, alpha=0.45)
        axes.scatter([cost] * len(seeds), seeds, s=9, color=colour, linewidth=0, alpha=0.45)
    means = [100 * one.accuracy.mean for one in there]
    axes.plot(
        costs,
        means,
        color=colour,
        linewidth=1.8,
        linestyle=line.dashes,
        marker=line.marker,
        markersize=5.5,
        zorder=5 if line.role == "ink" else 4,
    )


def _limits(axes: Axes, limits: Sequence[float], unit: str, room: float) -> None:
    """A dashed line a limit, its value below, in a second row where two would touch."""
    axes.set_xticks([])
    low, high = axes.get_xlim()
    ends = [-LABEL, -LABEL]
    for limit in limits:
        axes.axvline(limit, color=COLOUR["seed"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        place = (limit - low) / (high - low) * room
        row = 0 if place - ends[0] >= LABEL else 1
        ends[row] = place
        axes.annotate(
            quantity(limit, unit),
            (limit, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -8 - LINE * row),
            textcoords="offset points",
            color=COLOUR["quiet"],
            fontsize=SMALL,
            ha="center",
            va="top",
            annotation_clip=False,
        )


def _names(axes: Axes, lines: Sequence[Line], names: Sequence[str]) -> None:
    """Every arm's name at the right, beside the end of its line."""
    low, high = axes.get_ylim()
    ends = [100 * line.row.front[-1].accuracy.mean for line in lines]
    pixel = (high - low) / TALL
    for line, name, at in zip(lines, names, spread(ends, LINE * pixel), strict=True):
        axes.annotate(
            name,
            (1, (at - low) / (high - low)),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            color=COLOUR[line.role],
            fontsize=SMALL,
            fontweight="bold" if line.role == "ink" else "normal",
            va="center",
            annotation_clip=False,
        )

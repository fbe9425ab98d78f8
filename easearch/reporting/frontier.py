"""Figure: test accuracy over the cost of the exported file, the limits of a front marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from easearch.reporting.digits import meter_title, percent, quantity, ratio
from easearch.reporting.files import Point
from easearch.reporting.reading import FrontFolder
from easearch.reporting.style import COLOUR, SMALL, WIDE, figure_of, grid, heading, inline, panel

TALL, HEAD, LINE = 230, 40, 15
LABEL = 62
"""Pixels that the label of a limit takes, with the space beside it."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A network and the limit that it was made for, in the meter's unit."""

    cost: float
    limit: float
    accuracy: float
    number: int
    meets: bool
    label: str


def frontier(run: FrontFolder) -> Markup | None:
    """A panel a meter whose limits differ; None where no network has a cost and an accuracy."""
    points = run.facts.front
    shown = {meter: spots_of(points, meter, run.facts.seed_cost) for meter in meters_of(points)}
    shown = {meter: spots for meter, spots in shown.items() if spots}
    if not shown:
        return None
    told = f"Test accuracy over cost of {len(points)} networks"
    return inline("frontier", told, lambda width: _draw(shown, run.facts.seed_cost, width))


def meters_of(points: Sequence[Point]) -> list[str]:
    """The meters whose limits differ from network to network, latency first; else all."""
    limits: dict[str, list[float]] = {}
    for point in points:
        for row in point.proofs:
            limits.setdefault(row.meter, []).append(row.limit)
    several = [meter for meter, found in limits.items() if len(set(found)) > 1]
    return sorted(several or limits, key=lambda meter: not meter.startswith("latency"))


def spots_of(points: Sequence[Point], meter: str, seed: Mapping[str, float]) -> list[Spot]:
    """The networks under one meter, their limits also told as multiples of the seed's cost."""
    own, found = seed.get(meter), []
    for point in points:
        row = next((row for row in point.proofs if row.meter == meter), None)
        if row is None or row.value is None or point.test.accuracy is None:
            continue
        times = f"{ratio(row.limit, own)}\n" if own else ""
        found.append(
            Spot(
                cost=row.value,
                limit=row.limit,
                accuracy=point.test.accuracy,
                number=point.number,
                meets=point.meets,
                label=f"{times}{quantity(row.limit, row.unit)}",
            )
        )
    return found


def _draw(shown: Mapping[str, list[Spot]], seed: Mapping[str, float], width: float) -> Figure:
    left, right = (52, 40) if width >= WIDE else (44, 30)
    room = width - left - right
    ranges = {meter: _range(spots, seed.get(meter)) for meter, spots in shown.items()}
    levels = {m: _levels([_place(s.limit, ranges[m], room) for s in shown[m]]) for m in shown}
    tall = [HEAD + TALL + 10 + 2 * LINE * (1 + max(levels[m])) + 14 for m in shown]
    figure, top = figure_of(width, sum(tall)), 0.0
    for (meter, spots), height in zip(shown.items(), tall, strict=True):
        axes = panel(figure, left, top + HEAD, room, TALL)
        axes.set_xlim(*ranges[meter])
        _panel(axes, meter, spots, levels[meter])
        top += height
    return figure


def _range(spots: Sequence[Spot], seed: float | None) -> tuple[float, float]:
    """From the seed's cost, or the cheapest network, to a little beyond the dearest."""
    values = [value for spot in spots for value in (spot.cost, spot.limit)]
    low, high = min([*values, *([seed] if seed else [])]), max(values)
    pad = 0.02 * (high - low) or 0.1 * high or 1.0
    return low - pad, high + pad


def _place(value: float, ends: tuple[float, float], room: float) -> float:
    return (value - ends[0]) / (ends[1] - ends[0]) * room


def _levels(places: Sequence[float]) -> list[int]:
    """A row for each label, the highest in which it does not touch the one before it."""
    ends: list[float] = []
    levels = []
    for place in places:
        level = next((i for i, end in enumerate(ends) if place - end >= LABEL), len(ends))
        ends[level : level + 1] = [place]
        levels.append(level)
    return levels


def _panel(axes: Axes, meter: str, spots: Sequence[Spot], levels: Sequence[int]) -> None:
    heading(axes, f"Test accuracy by {meter_title(meter)} of the file", 16)
    grid(axes)
    accuracies = [spot.accuracy for spot in spots]
    low, high = min(accuracies), max(accuracies)
    pad = max(0.18 * (high - low), 0.002)
    axes.set_ylim(low - pad, high + pad)
    places = 0 if high - low > 0.04 else 1
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, places)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.set_xticks([])
    axes.plot([s.cost for s in spots], accuracies, color=COLOUR["seed"], linewidth=1.5, zorder=2)
    for spot, level in zip(spots, levels, strict=True):
        _spot(axes, spot, level)


def _spot(axes: Axes, spot: Spot, level: int) -> None:
    colour = COLOUR["grown" if spot.meets else "growth"]
    axes.axvline(spot.limit, color=COLOUR["ink"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([spot.cost, spot.limit], [spot.accuracy] * 2, color=colour, linewidth=1, zorder=2)
    axes.plot(
        spot.cost,
        spot.accuracy,
        marker="o",
        markersize=8,
        color=colour,
        clip_on=False,
        linestyle="none",
        zorder=3,
    )
    axes.annotate(
        percent(spot.accuracy) + ("" if spot.meets else " missed"),
        (spot.cost, spot.accuracy),
        xytext=(-8, 8),
        textcoords="offset points",
        color=colour,
        fontsize=SMALL,
        fontweight="bold",
        ha="right",
        annotation_clip=False,
    )
    axes.annotate(
        spot.label,
        (spot.limit, 0),
        xycoords=("data", "axes fraction"),
        xytext=(0, -8 - 2 * LINE * level),
        textcoords="offset points",
        color=COLOUR["quiet"],
        fontsize=SMALL,
        ha="center",
        va="top",
        annotation_clip=False,
    )

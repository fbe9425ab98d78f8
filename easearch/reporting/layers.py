"""Figure: what every layer costs, seed against final, meter by meter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from easearch.reporting.digits import (
    SPACE,
    clipped,
    meter_title,
    prefixed,
    quantity,
    sentence,
    short_names,
    significant,
)
from easearch.reporting.files import Layers
from easearch.reporting.style import (
    COLOUR,
    SMALL,
    WIDE,
    figure_of,
    heading,
    inline,
    key,
    panel,
)

ROW = 18
NARROW_ROWS = 12
VISIBLE = 0.03
"""A layer below this part of the dearest, under every meter, is left out."""
KEY = [("seed", "seed", 1.0), ("added by growth", "grown", 1.0)]


def layers(costs: Layers | None) -> Markup | None:
    """A row a layer, a column a meter; None without the file or where nothing has a cost."""
    meters = meters_of(costs) if costs else []
    if costs is None or not meters:
        return None
    told = f"Cost of every layer, seed and final, in {', '.join(meters)}"
    return inline("layers", told, lambda width: _draw(costs, meters, width))


def meters_of(costs: Layers) -> list[str]:
    """The meters that both networks were priced by, latency first."""
    both = [meter for meter in costs.final if any(costs.final[meter].values())]
    return sorted(both, key=lambda meter: (not meter.startswith("latency"), both.index(meter)))


def rows_of(costs: Layers, meters: Sequence[str]) -> list[str]:
    """The layers that a bar can show under one of the meters, in the order of execution."""
    pairs = [(costs.final[meter], costs.seed.get(meter, {})) for meter in meters]
    tables = sorted((table for pair in pairs for table in pair), key=len, reverse=True)
    dearest = [max(0.0, *final.values(), *seed.values()) for final, seed in pairs]
    return [
        name
        for name in dict.fromkeys(name for table in tables for name in table)
        if any(
            max(final.get(name, 0.0), seed.get(name, 0.0)) > VISIBLE * most
            for (final, seed), most in zip(pairs, dearest, strict=True)
        )
    ]


def _draw(costs: Layers, meters: Sequence[str], width: float) -> Figure:
    return _columns(costs, meters, width) if width >= WIDE else _stack(costs, meters, width)


def _columns(costs: Layers, meters: Sequence[str], width: float) -> Figure:
    names = rows_of(costs, meters)
    short = short_names(names)
    left = min(220.0, 14 + 6.2 * max(len(name) for name in short))
    figure = figure_of(width, 88 + ROW * len(names) + 8)
    key(figure, left, 16, KEY)
    one = (width - left) / len(meters)
    for column, meter in enumerate(meters):
        axes = panel(figure, left + one * column, 84, one - 66, ROW * len(names))
        _bars(axes, costs, meter, names)
        if column == 0:
            length = int((left - 12) / 6.0)
            axes.set_yticks(range(len(names)), [clipped(name, length) for name in short])
    return figure


def _stack(costs: Layers, meters: Sequence[str], width: float) -> Figure:
    """For a phone: the dearest layers of one meter under those of the other."""
    shown = {meter: _dearest(costs, meter) for meter in meters}
    figure = figure_of(width, 30 + sum(74 + ROW * len(rows) for rows in shown.values()))
    key(figure, 4, 16, KEY)
    top = 30.0
    for meter, names in shown.items():
        axes = panel(figure, 124, top + 54, width - 124 - 66, ROW * len(names))
        _bars(axes, costs, meter, names)
        axes.set_yticks(range(len(names)), [clipped(name, 19) for name in short_names(names)])
        top += 74 + ROW * len(names)
    return figure


def _dearest(costs: Layers, meter: str) -> list[str]:
    names = rows_of(costs, [meter])
    final = costs.final[meter]
    kept = set(sorted(names, key=lambda name: -final.get(name, 0.0))[:NARROW_ROWS])
    return [name for name in names if name in kept]


def _bars(axes: Axes, costs: Layers, meter: str, names: Sequence[str]) -> None:
    """A bar a layer: the seed's part, and what was added to it; hollow where it got cheaper."""
    unit = costs.units.get(meter, "")
    seed: Mapping[str, float] = costs.seed.get(meter, {})
    final = costs.final[meter]
    for row, name in enumerate(names):
        before, after = seed.get(name, 0.0), final.get(name, 0.0)
        axes.barh(row, min(before, after), 0.62, color=COLOUR["seed"])
        if after > before:
            axes.barh(row, after - before, 0.62, left=before, color=COLOUR["grown"])
        elif before > after:
            axes.barh(
                row, before - after, 0.5, left=after, facecolor="none", edgecolor=COLOUR["seed"]
            )
        axes.annotate(
            cell(after, unit, max(final.values())),
            (max(before, after), row),
            xytext=(6, 0),
            textcoords="offset points",
            color=COLOUR["quiet"],
            fontsize=SMALL - 0.5,
            va="center",
            annotation_clip=False,
        )
    _bare(axes, len(names))
    heading(axes, sentence(meter_title(meter)), 24)
    _totals(axes, (sum(seed.values()), sum(final.values())), unit)


def cell(value: float, unit: str, largest: float) -> str:
    """A value in a column of its kind: the heading tells MACs, small times are in microseconds."""
    if value <= 1e-9 * largest:
        return ""
    if unit == "ms" and largest < 1:
        return f"{significant(value * 1e3, 2)}{SPACE}µs"
    if unit == "MACs":
        return prefixed(value)
    return quantity(value, unit, 2)


def _bare(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.axvline(0, color=COLOUR["seed"], linewidth=0.8)


def _totals(axes: Axes, totals: tuple[float, float], unit: str) -> None:
    before, after = (quantity(total, unit) for total in totals)
    axes.annotate(
        f"{before} → {after}",
        (0, 1),
        xytext=(0, 9),
        xycoords="axes fraction",
        textcoords="offset points",
        color=COLOUR["quiet"],
        fontsize=SMALL,
    )

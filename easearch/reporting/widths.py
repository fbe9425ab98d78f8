"""Figure: the width of every channel group, from the seed through each growth to the end."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from easearch.reporting.digits import clipped, ratio, short_names
from easearch.reporting.reading import RunFolder
from easearch.reporting.style import (
    COLOUR,
    SMALL,
    WIDE,
    figure_of,
    inline,
    key,
    panel,
)

Stages = list[Mapping[str, int]]
ROW = 22


def widths(run: RunFolder) -> Markup | None:
    """A bar a group, in the order of the network; None where no growth is on record."""
    if not run.steps:
        return None
    stages = stages_of(run)
    told = f"Widths of {len(stages[0])} channel groups before and after {len(stages) - 1} growths"
    return inline("widths", told, lambda width: _draw(run, stages, width))


def stages_of(run: RunFolder) -> Stages:
    """Widths of the seed and after each growth, as far as the final network kept them.

    A run that stepped back to an earlier stage names its final widths: what came after is left out.
    """
    stages: Stages = [run.steps[0].widths_before, *(step.widths_after for step in run.steps)]
    final = dict(run.facts.widths)
    for end, stage in enumerate(stages):
        if final and dict(stage) == final:
            return stages[: end + 1]
    return stages


def _draw(run: RunFolder, stages: Stages, width: float) -> Figure:
    wide = width >= WIDE
    names = list(stages[-1])
    short = short_names(names)
    left = min(230 if wide else 124, 14 + 6.2 * max(len(name) for name in short))
    right = 150 if wide else 96
    figure = figure_of(width, 44 + ROW * len(names) + 8)
    key(figure, left, 20, _entries(len(stages), wide))
    axes = panel(figure, left, 36, width - left - right, ROW * len(names))
    axes.spines["bottom"].set_visible(False)
    axes.axvline(0, color=COLOUR["seed"], linewidth=0.8)
    for row, name in enumerate(names):
        values = [stage.get(name, 0) for stage in stages]
        _bar(axes, row, values, run.facts.frozen.get(name), wide=wide)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, max(stages[-1].values()) * 1.01)
    axes.set_xticks([])
    length = int((left - 12) / 6.2)
    axes.set_yticks(range(len(names)), [clipped(name, length) for name in short])
    return figure


def _entries(stages: int, wide: bool) -> list[tuple[str, str, float]]:
    word = "after growth " if wide else "growth "
    grown = [(f"{word}{k}", "grown", _depth(k, stages)) for k in range(1, stages)]
    return [("seed", "seed", 1.0), *grown]


def _depth(stage: int, stages: int) -> float:
    """Opacity of what a growth added: the last is full."""
    return 0.45 + 0.55 * stage / (stages - 1)


def _bar(axes: Axes, row: int, values: list[int], frozen: str | None, *, wide: bool) -> None:
    start, end = values[0], values[-1]
    fixed = frozen is not None
    axes.barh(row, start, height=0.62, color=COLOUR["line" if fixed else "seed"])
    for stage in range(1, len(values)):
        before, now = values[stage - 1], values[stage]
        axes.barh(
            row,
            now - before,
            left=before,
            height=0.62,
            color=COLOUR["grown"],
            alpha=_depth(stage, len(values)),
        )
    text = f"{start} → {end}, {ratio(end, start)}" if end != start else f"{end}"
    if fixed:
        text += f", fixed: {frozen}" if wide else ", fixed"
    axes.annotate(
        text,
        (max(values), row),
        xytext=(6, 0),
        textcoords="offset points",
        color=COLOUR["ink" if end != start else "quiet"],
        fontsize=SMALL,
        va="center",
        annotation_clip=False,
    )

"""Figure: what every growth round promised and kept, and the line search that chose its step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from easearch.growth.events import Step
from easearch.reporting.digits import fraction_name, percent, significant
from easearch.reporting.style import (
    COLOUR,
    SMALL,
    WIDE,
    figure_of,
    grid,
    heading,
    inline,
    panel,
)

PAIR = 50
SEARCH = 170


def rounds(steps: Sequence[Step]) -> Markup | None:
    """Promised against kept, and a line search a round; None where nothing grew, or all that came
    in was without a score (`unscored`).
    """
    if all(step.moves > 0 >= step.promised and len(step.line_search) < 2 for step in steps):
        return None
    told = f"Promised and kept decrease of the loss in {len(steps)} growth rounds"
    return inline("rounds", told, lambda width: _draw(steps, width))


def _draw(steps: Sequence[Step], width: float) -> Figure:
    wide = width >= WIDE
    across = min(len(steps), 3 if wide else 1)
    down = math.ceil(len(steps) / across)
    tall = 40 + PAIR * len(steps) + 40 + (SEARCH + 88) * down
    figure = figure_of(width, tall)
    left = 64
    right = 150 if wide else 116
    _promises(panel(figure, left, 40, width - left - right, PAIR * len(steps)), steps)
    one = (width - 8) / across
    for index, step in enumerate(steps):
        top = 40 + PAIR * len(steps) + 84 + (SEARCH + 88) * (index // across)
        _search(panel(figure, 44 + one * (index % across), top, one - 66, SEARCH), step)
    return figure


def _promises(axes: Axes, steps: Sequence[Step]) -> None:
    heading(axes, "Decrease of the loss (nats)")
    for row, step in enumerate(steps):
        axes.barh(
            row - 0.19,
            step.promised,
            0.3,
            facecolor="none",
            edgecolor=COLOUR["quiet"],
            linewidth=1.2,
        )
        axes.barh(row + 0.19, step.kept, 0.3, color=COLOUR["grown"])
        share = f" ({percent(step.kept / step.promised, 0)})" if step.promised > 0 else ""
        _value(axes, f"promised {significant(step.promised)}", step.promised, row - 0.19, "quiet")
        _value(axes, f"kept {significant(step.kept)}{share}", step.kept, row + 0.19, "grown")
    axes.set_ylim(len(steps) - 0.5, -0.5)
    lowest = min(0.0, *(step.kept for step in steps))
    highest = max(1e-9, *(max(step.promised, step.kept) for step in steps))
    axes.set_xlim(1.05 * lowest, 1.01 * highest)
    axes.set_yticks(range(len(steps)), [f"growth {step.round}" for step in steps])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.axvline(0, color=COLOUR["seed"], linewidth=0.8)


def _value(axes: Axes, text: str, value: float, row: float, role: str) -> None:
    axes.annotate(
        text,
        (max(value, 0.0), row),
        xytext=(6, 0),
        textcoords="offset points",
        color=COLOUR[role],
        fontsize=SMALL,
        va="center",
        annotation_clip=False,
    )


def _search(axes: Axes, step: Step) -> None:
    """Loss against the common step factor; a loss off the scale is a triangle with its value."""
    tried = sorted(step.line_search)
    heading(axes, f"Growth {step.round}: loss by step factor", 24)
    grid(axes)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_xticks(range(len(tried)), [fraction_name(factor) for factor, _ in tried])
    axes.set_xlabel("step factor (0: silent)", fontsize=SMALL, color=COLOUR["quiet"])
    if not any(math.isfinite(loss) for _, loss in tried):
        return
    low, ceiling = _range(step, [loss for _, loss in tried if math.isfinite(loss)])
    axes.set_xlim(-0.35, len(tried) - 0.65)
    axes.set_ylim(low, ceiling)
    shown = [min(loss, ceiling) for _, loss in tried]
    for place, pair in enumerate(pairwise(shown)):
        if min(pair) < ceiling:
            axes.plot([place, place + 1], pair, color=COLOUR["seed"], linewidth=1.5)
    for place, (factor, loss) in enumerate(tried):
        _point(axes, place, loss, ceiling, chosen=math.isclose(factor, step.factor))


def _range(step: Step, losses: Sequence[float]) -> tuple[float, float]:
    """Wide enough for the losses near the start; a step that blew up must not flatten the rest."""
    start, best = step.loss_before, min(*losses, step.loss_before)
    room = max(start - best, 1e-3)
    ceiling = min(max(*losses, start), start + 2.5 * room)
    return best - 0.7 * room, ceiling + 0.15 * room


def _point(axes: Axes, place: int, loss: float, ceiling: float, *, chosen: bool) -> None:
    over = loss > ceiling
    axes.plot(
        [place],
        [min(loss, ceiling)],
        marker="^" if over else "o",
        color=COLOUR["grown" if chosen else "seed"],
        markersize=9 if chosen else 7,
        clip_on=False,
        linestyle="none",
    )
    if chosen or over or place == 0:
        axes.annotate(
            significant(loss) + (" taken" if chosen else ""),
            (place, min(loss, ceiling)),
            xytext=(0, -18 if chosen else 9),
            textcoords="offset points",
            color=COLOUR["grown" if chosen else "quiet"],
            fontsize=SMALL,
            fontweight="bold" if chosen else "normal",
            ha="center",
        )

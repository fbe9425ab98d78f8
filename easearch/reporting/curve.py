"""Figure: loss, accuracy and cost over the epochs, on one axis, with the growth rounds marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from easearch.reporting.digits import percent, significant
from easearch.reporting.reading import RunFolder
from easearch.reporting.style import (
    COLOUR,
    SERIES,
    SMALL,
    WIDE,
    figure_of,
    grid,
    heading,
    inline,
    panel,
    pixels,
    spread,
)

Line = tuple[str, Sequence[float], Sequence[float], str]
"""Label, x, y, role."""


def curve(run: RunFolder) -> Markup | None:
    """The run over its epochs; None without history."""
    if not run.history:
        return None
    told = f"Loss, accuracy and cost over {run.history[-1].epoch:.4g} epochs"
    return inline("curve", told, lambda width: _draw(run, width))


def _draw(run: RunFolder, width: float) -> Figure:
    wide = width >= WIDE
    heights = (190, 140, 140) if wide else (150, 120, 120)
    left, right, top, between = (44, 150, 52, 44) if wide else (36, 130, 52, 42)
    figure = figure_of(width, top + sum(heights) + 2 * between + 42)
    axes: list[Axes] = []
    for height in heights:
        axes.append(panel(figure, left, top, width - left - right, height))
        top += height + between
    _loss(axes[0], run)
    _accuracy(axes[1], run)
    _cost(axes[2], run)
    last = max(row.epoch for row in run.history)
    for one in axes:
        one.set_xlim(0, last)
        one.xaxis.set_major_locator(MaxNLocator(nbins=8 if wide else 5, integer=True))
        one.tick_params(labelbottom=one is axes[-1])
        _mark_growth(one, run, labelled=one is axes[0])
    axes[-1].set_xlabel("epochs", fontsize=SMALL, color=COLOUR["quiet"], labelpad=4)
    return figure


def _loss(axes: Axes, run: RunFolder) -> None:
    epochs = [row.epoch for row in run.history]
    grid(axes)
    heading(axes, "Loss (nats)")
    _lines(
        axes,
        [
            ("training", epochs, [row.loss for row in run.history], "seed"),
            ("validation", epochs, [row.validation_loss for row in run.history], "grown"),
        ],
        significant,
    )


def _accuracy(axes: Axes, run: RunFolder) -> None:
    epochs = [row.epoch for row in run.history]
    grid(axes)
    heading(axes, "Accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    values = [row.validation_accuracy for row in run.history]
    _lines(axes, [("validation", epochs, values, "grown")], percent)


def _cost(axes: Axes, run: RunFolder) -> None:
    """Cost steps up at each growth: what an epoch costs holds from the epoch before it."""
    grid(axes)
    heading(axes, "Predicted cost, as a share of the limit")
    lines: list[Line] = []
    for meter, role in zip(limited(run), SERIES, strict=False):
        limit = run.facts.limits[meter].limit
        shares = [row.costs.get(meter, math.nan) / limit for row in run.history]
        epochs = [row.epoch for row in run.history]
        name = "MACs" if meter == "macs" else meter
        lines.append((name, [0, *epochs], [shares[0], *shares], role))
        measured = _measured(run, meter)
        if measured is not None:
            lines.append((f"{name}, measured", epochs[-1:], [measured / limit], role))
    highest = max((y for line in lines for y in line[2] if math.isfinite(y)), default=1.0)
    axes.set_ylim(0, 1.12 * max(1.0, highest))
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.axhline(1, color=COLOUR["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
    _lines(axes, lines, lambda share: percent(share, 0), steps=True)


def _measured(run: RunFolder, meter: str) -> float | None:
    """What the exported file really cost, where it was timed; counts would repeat the line."""
    rows = run.certificate.limits if run.certificate else ()
    return next((row.measured for row in rows if row.meter == meter and row.noise), None)


def limited(run: RunFolder) -> list[str]:
    """The meters with a limit, latency first."""
    return sorted(
        (meter for meter, one in run.facts.limits.items() if one.limit > 0),
        key=lambda meter: (not meter.startswith("latency"), meter),
    )


def _lines(
    axes: Axes, lines: list[Line], text: Callable[[float], str], *, steps: bool = False
) -> None:
    """The lines, each with its name and last value at its right end."""
    for _, x, y, role in lines:
        style = "steps-pre" if steps else "default"
        dot = "o" if len(x) == 1 else None
        axes.plot(
            x, y, color=COLOUR[role], linewidth=2, drawstyle=style, marker=dot, clip_on=not dot
        )
    ends = [(name, x[-1], y[-1], role) for name, x, y, role in lines if math.isfinite(y[-1])]
    axes.margins(y=0.06)
    low, high = axes.get_ylim()
    places = spread([(end[2] - low) / (high - low) * pixels(axes)[1] for end in ends], 15)
    for (name, _, value, role), place in zip(ends, places, strict=True):
        axes.annotate(
            f"{name} {text(value)}",
            (1, 0),
            xytext=(8, place),
            xycoords="axes fraction",
            textcoords="offset points",
            color=COLOUR["quiet" if role == "seed" else role],
            fontsize=SMALL,
            va="center",
        )


def _mark_growth(axes: Axes, run: RunFolder, *, labelled: bool) -> None:
    last, before = max(row.epoch for row in run.history), -math.inf
    for step in run.steps:
        axes.axvline(step.epoch, color=COLOUR["growth"], linewidth=1.2, zorder=1.5)
        place = step.epoch / last * pixels(axes)[0]
        if labelled and place - before > 10:
            crowded, before = place - before < 56, place
            axes.annotate(
                f"{step.round}" if crowded else f"growth {step.round}",
                (step.epoch, 1),
                xytext=(4, 26),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=COLOUR["growth"],
                fontsize=SMALL,
                ha="right",
            )

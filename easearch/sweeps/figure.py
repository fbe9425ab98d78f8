"""The front as a picture: cost to the right, accuracy upwards, limits kept and missed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from easearch.budget.store import write_atomic
from easearch.sweeps.results import SweepResult, TrialResult

INK, QUIET, LINE, FRONT, MISSED, BEST = (
    "#1c2330",
    "#5f6b7c",
    "#dde1e7",
    "#0072b2",
    "#a3abb7",
    "#d55e00",
)
"""After Okabe and Ito, for colour-blind readers too."""
SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "easearch",
    "font.family": "sans-serif",
}
TITLES = {"latency": "latency", "macs": "MACs", "params": "parameters", "memory": "peak memory"}


def draw_front(result: SweepResult, path: Path) -> None:
    """Draw all trials that ended, the front, the limit and the best; whole or not at all."""
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc must not change the figure
        mpl.rcParams.update(SETTINGS)
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        FigureCanvasSVG(figure)
        _draw(figure.add_subplot(), result)
        text = io.StringIO()
        figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None})
    write_atomic(path, text.getvalue())


def _draw(axes: Axes, result: SweepResult) -> None:
    _frame(axes, result)
    ended = [t for t in result.trials if t.cost is not None and t.accuracy is not None]
    if not ended:
        axes.text(
            0.5, 0.5, "no trial has ended well", transform=axes.transAxes, ha="center", color=QUIET
        )
        return
    _limit(axes, result)
    missed = [trial for trial in ended if not trial.feasible]
    axes.scatter(*_points(missed), s=34, marker="x", color=MISSED, linewidth=1.4, zorder=2)
    axes.scatter(*_points(result.feasible), s=36, color=FRONT, alpha=0.45, linewidth=0, zorder=3)
    _front_line(axes, result)
    if result.best is not None:
        _best(axes, result.best)
    axes.margins(0.12, 0.16)
    axes.legend(
        handles=_legend(bool(missed)), frameon=False, loc="best", fontsize=9, labelcolor=QUIET
    )


def _frame(axes: Axes, result: SweepResult) -> None:
    title = TITLES.get(result.meter, result.meter)
    unit = f" ({result.unit})" if result.unit not in {"", "params", "MACs"} else ""
    ends = len(result.feasible)
    axes.set_title(
        f"{len(result.trials)} trials, {ends} within every limit",
        loc="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
        pad=12,
    )
    axes.set_xlabel(f"{title}{unit}", color=QUIET)
    axes.set_ylabel("validation accuracy (%)", color=QUIET)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MISSED)
    axes.tick_params(length=0, pad=5, labelsize=9, labelcolor=QUIET)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def _points(trials: Sequence[TrialResult]) -> tuple[list[float], list[float]]:
    pairs = [(t.cost, 100 * t.accuracy) for t in trials if t.cost is not None and t.accuracy]
    return [cost for cost, _ in pairs], [accuracy for _, accuracy in pairs]


def _front_line(axes: Axes, result: SweepResult) -> None:
    costs, accuracies = _points(result.front)
    # a step: at any cost between two points, the cheaper of them is what can be had
    axes.plot(costs, accuracies, drawstyle="steps-post", color=FRONT, linewidth=1.8, zorder=4)
    axes.scatter(costs, accuracies, s=46, color=FRONT, edgecolor="white", linewidth=1.2, zorder=5)


def _best(axes: Axes, best: TrialResult) -> None:
    costs, accuracies = _points([best])
    axes.scatter(costs, accuracies, s=130, facecolor="none", edgecolor=BEST, linewidth=2, zorder=6)
    for cost, accuracy in zip(costs, accuracies, strict=True):
        axes.annotate(
            f"trial {best.number}: {accuracy:.1f} %",
            (cost, accuracy),
            xytext=(-9, 10),
            textcoords="offset points",
            ha="right",
            color=BEST,
            fontsize=10,
            fontweight="bold",
        )


def _limit(axes: Axes, result: SweepResult) -> None:
    if result.limit is None:
        return
    axes.axvline(result.limit, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        "limit",
        (result.limit, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5, -2),
        textcoords="offset points",
        va="top",
        color=INK,
        fontsize=9,
    )


def _legend(missed: bool) -> list[Line2D]:
    def dot(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=label, **look)

    entries = [dot("front", color=FRONT, marker="o", linewidth=1.8, markersize=6)]
    entries.append(dot("keeps every limit", color=FRONT, alpha=0.45, marker="o", linewidth=0))
    if missed:
        entries.append(dot("misses a limit", color=MISSED, marker="x", linewidth=0))
    return entries

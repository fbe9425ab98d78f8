"""Figure: the trunk of a front and its branches over the compute that they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from easearch.growth.events import Epoch
from easearch.reporting.digits import percent, prefixed
from easearch.reporting.reading import Branch, FrontFolder
from easearch.reporting.style import COLOUR, SMALL, WIDE, figure_of, grid, heading, inline, panel

ROW = 22
Path = tuple[list[float], list[float]]
"""Compute (multiply-adds) and validation accuracy."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The trunk, and each branch from where it leaves it."""

    trunk: Path
    branches: tuple[tuple[Branch, Path], ...]
    bars: tuple[tuple[str, float, float], ...]
    """Name, multiply-adds spent on the way to where it begins, and its own: the trunk first."""
    total: float
    """Multiply-adds of the whole run."""

    @property
    def end(self) -> float:
        """Multiply-adds on the longest way to a network."""
        ends = [began + spent for _, began, spent in self.bars]
        return max([*ends, *(x for _, path in self.branches for x in path[0])])


def branches(run: FrontFolder) -> Markup | None:
    """Accuracy over compute, and what every part took; None without histories."""
    tree = tree_of(run)
    if tree is None:
        return None
    told = f"Validation accuracy of a trunk and {len(tree.branches)} branches over compute"
    return inline("branches", told, lambda width: _draw(tree, width))


def tree_of(run: FrontFolder) -> Tree | None:
    """The histories of all branches put together: the trunk's part, which they share, once."""
    known = [b for b in run.branches if b.history and b.point.began is not None]
    if not known:
        return None
    trunk = {row.compute: row for branch in known for row in _before(branch)}
    points = [one for one in run.facts.front if one.began is not None and one.spent is not None]
    bars = [(f"limit {one.number}", one.began or 0.0, one.spent or 0.0) for one in points]
    return Tree(
        trunk=_path([trunk[at] for at in sorted(trunk)]),
        branches=tuple((branch, _leaving(branch)) for branch in known),
        bars=(("trunk", 0.0, max((began for _, began, _ in bars), default=0.0)), *bars),
        total=run.facts.compute.get("total", 0.0),
    )


def _before(branch: Branch) -> list[Epoch]:
    """The rows of the trunk, as far as the branch."""
    began = branch.point.began or 0.0
    return [row for row in branch.history if row.compute <= began * (1 + 1e-9)]


def _leaving(branch: Branch) -> Path:
    """The branch's own rows, from the last of the trunk."""
    before = _before(branch)
    return _path([*before[-1:], *branch.history[len(before) :]])


def _path(rows: Sequence[Epoch]) -> Path:
    return [row.compute for row in rows], [row.validation_accuracy for row in rows]


def _draw(tree: Tree, width: float) -> Figure:
    wide = width >= WIDE
    left, right, tall = (64, 120, 230) if wide else (56, 84, 170)
    rows = len(tree.bars)
    figure = figure_of(width, 40 + tall + 42 + ROW * rows + 40)
    upper = panel(figure, left, 40, width - left - right, tall)
    lower = panel(figure, left, 40 + tall + 42, width - left - right, ROW * rows)
    for axes in (upper, lower):
        axes.set_xlim(0, tree.end)
    _accuracy(upper, tree, wide=wide)
    _shares(lower, tree, wide=wide)
    return figure


def _accuracy(axes: Axes, tree: Tree, *, wide: bool) -> None:
    heading(axes, "Validation accuracy")
    grid(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.tick_params(labelbottom=False)
    axes.set_xticks([])
    axes.plot(*tree.trunk, color=COLOUR["seed"], linewidth=3, zorder=2)
    for branch, (x, y) in tree.branches:
        axes.plot(x, y, color=COLOUR["grown"], linewidth=2, zorder=3)
        axes.plot(x[:1], y[:1], "o", color=COLOUR["seed"], markersize=5, zorder=4)
        axes.plot(x[-1:], y[-1:], "o", color=COLOUR["grown"], markersize=6, clip_on=False, zorder=4)
        axes.annotate(
            f"limit {branch.point.number}" if wide else f"{branch.point.number}",
            (x[-1], y[-1]),
            xytext=(0, 8),
            textcoords="offset points",
            color=COLOUR["grown"],
            fontsize=SMALL,
            ha="center",
            annotation_clip=False,
        )
    axes.margins(y=0.08)


def _shares(axes: Axes, tree: Tree, *, wide: bool) -> None:
    """A bar a part, from where it begins, with its share of the whole run's compute."""
    heading(axes, "Compute, and its share of the run")
    for row, (name, began, spent) in enumerate(tree.bars):
        role = "seed" if name == "trunk" else "grown"
        axes.barh(row, spent, left=began, height=0.6, color=COLOUR[role])
        text = percent(spent / (tree.total or spent or 1.0), 0)
        axes.annotate(
            f"{prefixed(spent, 'MACs')}, {text}" if wide else text,
            (began + spent, row),
            xytext=(6, 0),
            textcoords="offset points",
            color=COLOUR["quiet" if role == "seed" else role],
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
        )
    axes.set_ylim(len(tree.bars) - 0.5, -0.5)
    axes.set_yticks(range(len(tree.bars)), [name for name, *_ in tree.bars])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: prefixed(value)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if wide else 3))
    axes.set_xlabel(
        "multiply-adds on the way to each network", fontsize=SMALL, color=COLOUR["quiet"]
    )

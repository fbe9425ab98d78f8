"""One palette and one hand for every figure: matplotlib draws, the page's CSS colours.

Figures are drawn in CSS pixels (72 to matplotlib's inch) at two widths, one for a page and one for
a phone. Text stays text, and colours become CSS variables, so that a figure follows the page into
the dark and onto paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

PALETTE: Mapping[str, tuple[str, str]] = {
    "paper": ("#fefefe", "#14181f"),
    "ink": ("#1c2330", "#e6e9ee"),
    "quiet": ("#5f6b7c", "#9aa5b4"),
    "line": ("#dde1e7", "#333b48"),
    "seed": ("#a3abb7", "#717c8c"),
    "grown": ("#0072b2", "#4aa8e0"),
    "growth": ("#c85200", "#f58b3c"),
    "second": ("#008060", "#2fbf97"),
    "third": ("#a8568a", "#d98bbb"),
    "fourth": ("#b07d00", "#e0b040"),
}
"""Role -> colour on a light and a dark page; after Okabe and Ito, for colour-blind readers too."""

COLOUR: Mapping[str, str] = {role: light for role, (light, _) in PALETTE.items()}
SERIES = ("grown", "second", "third", "fourth")
WIDE, NARROW = 880, 360
TEXT, SMALL = 12.0, 11.0

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "easearch",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT,
    "text.color": COLOUR["ink"],
    "axes.unicode_minus": True,
    "lines.solid_capstyle": "round",
}

Draw = Callable[[float], Figure]


def figure_of(width: float, height: float) -> Figure:
    """An empty figure of so many CSS pixels."""
    figure = Figure(figsize=(width / 72, height / 72))
    FigureCanvasSVG(figure)
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in pixels from the top left corner: no box, a quiet ground line."""
    whole, tall = figure.get_size_inches() * 72
    axes = figure.add_axes(
        (left / whole, 1 - (top + height) / tall, width / whole, height / tall), facecolor="none"
    )
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLOUR["seed"])
    axes.spines["bottom"].set_linewidth(0.8)
    axes.tick_params(length=0, pad=5, labelsize=SMALL, labelcolor=COLOUR["quiet"])
    axes.set_axisbelow(True)
    return axes


def pixels(axes: Axes) -> tuple[float, float]:
    """Width and height of the axes in CSS pixels."""
    box, figure = axes.get_position(), axes.get_figure(root=True)
    whole, tall = figure.get_size_inches() * 72 if figure else (0.0, 0.0)
    return box.width * whole, box.height * tall


def grid(axes: Axes, axis: str = "y") -> None:
    """Thin lines to read values by."""
    axes.grid(axis="y" if axis == "y" else "x", color=COLOUR["line"], linewidth=0.8)


def heading(axes: Axes, text: str, offset: float = 9) -> None:
    """What the panel shows, above its left edge."""
    axes.annotate(
        text,
        (0, 1),
        xytext=(0, offset),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=TEXT,
        fontweight="bold",
        va="bottom",
    )


def key(figure: Figure, left: float, top: float, entries: Sequence[tuple[str, str, float]]) -> None:
    """A row of squares and words, (text, role, opacity), in place of a legend box."""
    whole, tall = figure.get_size_inches() * 72
    for text, role, opacity in entries:
        colour = COLOUR[role]
        figure.text(left / whole, 1 - top / tall, "■", color=colour, alpha=opacity, va="baseline")
        figure.text((left + 14) / whole, 1 - top / tall, text, fontsize=SMALL, va="baseline")
        left += 14 + 0.54 * SMALL * len(text) + 16


def spread(values: Sequence[float], gap: float) -> list[float]:
    """The values moved apart as little as it takes for neighbours to be `gap` apart, order kept."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = list(values)
    for before, now in pairwise(order):
        placed[now] = max(placed[now], placed[before] + gap)
    shift = sum(p - v for p, v in zip(placed, values, strict=True)) / max(1, len(values))
    return [p - shift for p in placed]


def inline(name: str, description: str, draw: Draw) -> Markup:
    """The drawing at both widths, to stand in a page; CSS shows the one that fits."""
    parts = []
    for kind, width in (("wide", WIDE), ("narrow", NARROW)):
        with mpl.rc_context():
            # From the defaults: a user's matplotlibrc must not change the page.
            mpl.rcdefaults()
            mpl.rcParams.update(_SETTINGS)
            svg = _svg(draw(width))
        parts.append(_adapted(svg, f"{name}-{kind}", kind, description))
    return Markup("\n").join(parts)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _adapted(svg: str, prefix: str, kind: str, description: str) -> Markup:
    """Only what a page needs: no prologue, its own ids, the page's font and colours."""
    inner = svg[svg.index("<svg") :]
    head, body = inner.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    width, height = box.groups() if box else ("0", "0")
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    # Only inside tags: matplotlib escapes <, > in text, but not quotes.
    body = re.sub(r"<[^>]*>", lambda tag: _own(tag.group(), prefix), body)
    opening = (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" style="max-width: {width}px" '
        f'role="img" aria-label="{escape(description)}">'
    )
    return Markup(opening + body.strip())


def _own(tag: str, prefix: str) -> str:
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
    tag = re.sub(r'xlink:href="#', f'href="#{prefix}-', tag)
    tag = re.sub(r"url\(#", f"url(#{prefix}-", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r' transform="rotate\(-0 [^"]*"', "", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda c: _VARIABLE.get(c.group(), c.group()), tag)


_VARIABLE = {light: f"var(--{role})" for role, light in COLOUR.items()}

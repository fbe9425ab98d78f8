"""The page of a comparison: one file that opens anywhere, offline, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from easearch.budget.store import write_atomic
from easearch.comparing.files import PAGE
from easearch.comparing.judge import AtLimit, Row, meter_of, sentence
from easearch.comparing.paired import Paired
from easearch.comparing.point import Point
from easearch.comparing.results import Comparison
from easearch.comparing.telling.curves import curves
from easearch.comparing.telling.figure import figure
from easearch.comparing.terms import Terms
from easearch.reporting.digits import (
    count,
    duration,
    meter_title,
    percent,
    prefixed,
    quantity,
    signed_text,
)
from easearch.reporting.page import environment
from easearch.reporting.style import PALETTE

TONES = {"ahead": "", "behind": "bad"}
"""Claim -> class of its sentence; others are open."""


def write_page(found: Comparison) -> Path:
    """Write `comparison.html`: the same results give the same bytes."""
    path = found.path / PAGE
    write_atomic(path, render(found))
    return path


def render(found: Comparison) -> str:
    """The page as text."""
    rows, terms = found.rows, found.terms
    table = _table(rows, terms, found.reference)
    return (
        environment("easearch.comparing.telling")
        .get_template("template.html.j2")
        .render(
            name=str(terms.recipe["name"]),
            arms=[row.arm for row in rows],
            palette=PALETTE,
            terms=terms,
            verdicts=[
                {"text": sentence(row, found.reference), "tone": TONES.get(row.claim, "open")}
                for row in rows
                if row.claim != "reference"
            ],
            gaps=found.gaps,
            weights=found.weights,
            figure=figure(rows, found.reference) if rows else "",
            curves=curves(rows, found.reference, terms),
            tables=[
                {"title": "Mean over the limits" if terms.front else "", **table},
                *_areas(rows, terms, found.reference),
                *_limit_tables(rows, terms, found.reference),
            ],
            hypervolume=_meter(terms),
            legend=[(row.arm, row.about) for row in rows],
            facts=_facts(terms, rows),
            notes=found.notes,
            recipe=yaml.safe_dump(dict(terms.recipe), sort_keys=False, allow_unicode=True),
        )
    )


def table_of(found: Comparison) -> list[tuple[str, ...]]:
    """The table of the arms, the head first; of fronts with their hypervolume."""
    table = _table(found.rows, found.terms, found.reference)
    areas = _areas(found.rows, found.terms, found.reference)
    lines = [table["columns"], *table["rows"]]
    if areas:
        beside = [areas[0]["columns"], *areas[0]["rows"]]
        lines = [line + other[1:] for line, other in zip(lines, beside, strict=True)]
    return [tuple(line) for line in lines]


def _table(rows: Sequence[Row], terms: Terms, reference: str) -> dict[str, Any]:
    """The arms over the whole front; at one limit with what they cost."""
    columns = ["arm", *_accuracy_columns("test accuracy", reference)]
    if not terms.front:
        columns += [meter_title(meter) for meter in terms.units]
    columns += ["limits kept", "compute", "time"]
    return {
        "columns": columns,
        "rows": [[row.arm, *_cells(row, terms)] for row in rows],
        "marked": [number for number, row in enumerate(rows) if row.claim == "ahead"],
    }


def _cells(row: Row, terms: Terms) -> list[str]:
    return [
        *_numbers(row.accuracy),
        *([] if terms.front else _costs(row.front[0], terms)),
        f"{row.met} of {len(row.seeds)}",
        prefixed(row.compute, "MACs"),
        duration(row.seconds),
    ]


def _areas(rows: Sequence[Row], terms: Terms, reference: str) -> list[dict[str, Any]]:
    """The hypervolumes of a comparison of fronts."""
    if not terms.front:
        return []
    found = [(row.arm, row.hypervolume) for row in rows if row.hypervolume is not None]
    return [
        {
            "title": "Hypervolume",
            "columns": ["arm", *_accuracy_columns("hypervolume", reference)],
            "rows": [[arm, *_numbers(one, "")] for arm, one in found],
            "marked": [],
        }
    ]


def _limit_tables(rows: Sequence[Row], terms: Terms, reference: str) -> list[dict[str, Any]]:
    """The arms at every limit of a front."""
    columns = ["arm", *_accuracy_columns("test accuracy", reference)]
    columns += [*(meter_title(meter) for meter in terms.units), "limit kept"]
    return [
        {
            "title": f"Limit {number + 1}: {limits_of(point, terms)}",
            "columns": columns,
            "rows": [
                [row.arm, *_cells_at(row.front[number], len(row.seeds), terms)] for row in rows
            ],
            "marked": [],
        }
        for number, point in enumerate(terms.points)
        if terms.front
    ]


def _cells_at(there: AtLimit, seeds: int, terms: Terms) -> list[str]:
    return [*_numbers(there.accuracy), *_costs(there, terms), f"{there.met} of {seeds}"]


def limits_of(point: Point, terms: Terms) -> str:
    """The limits of a point, with their units."""
    return ", ".join(
        f"{meter_title(name)} {quantity(limit, terms.units[name])}"
        for name, limit in point.limits.items()
    )


def _accuracy_columns(title: str, reference: str) -> list[str]:
    return [title, "95 %", f"against {reference}", "95 %"]


def _numbers(found: Paired, unit: str = " %") -> list[str]:
    """Mean, interval, difference to the reference and its interval, in hundredths."""
    difference = None if found.difference is None else f"{100 * found.difference:+.2f}"
    return [
        percent(found.mean, 2) if unit else f"{100 * found.mean:.2f}",
        _ends(found.interval, ""),
        "" if difference is None else signed_text(difference),
        _ends(found.difference_interval, "+"),
    ]


def _costs(there: AtLimit, terms: Terms) -> list[str]:
    return [quantity(there.costs[meter], unit) for meter, unit in terms.units.items()]


def _ends(interval: tuple[float, float] | None, sign: str) -> str:
    if interval is None:
        return ""
    low, high = (signed_text(f"{100 * end:{sign}.2f}") for end in interval)
    return f"{low} to {high}"


def _facts(terms: Terms, rows: Sequence[Row]) -> list[tuple[str, str]]:
    seeds = sorted({seed for row in rows for seed in row.seeds})
    versions = ", ".join(f"{name} {version}" for name, version in terms.versions.items())
    cpu = terms.host.get("cpu", "unknown")
    return [
        *(fact for number in range(len(terms.points)) for fact in _of_point(terms, number)),
        ("compute", _compute(terms)),
        ("seeds", ", ".join(map(str, seeds))),
        ("machine", f"{cpu}, {count(terms.threads)} thread{'s' if terms.threads > 1 else ''}"),
        ("commit", terms.commit or "not known"),
        ("versions", versions),
    ]


def _of_point(terms: Terms, number: int) -> list[tuple[str, str]]:
    point, behind = terms.points[number], f" {number + 1}" if terms.front else ""
    wide = ", ".join(f"{name} {width}" for name, width in point.uniform.items())
    return [
        (f"limit{behind}", limits_of(point, terms)),
        (f"uniform widths{behind}", f"×{point.factor:.2f} in steps of {terms.width_step}: {wide}"),
    ]


def _meter(terms: Terms) -> str | None:
    """Over which meter the hypervolume is taken."""
    meter = meter_of(terms)
    return None if meter is None else meter_title(meter)


def _compute(terms: Terms) -> str:
    if terms.front:
        return (
            f"{prefixed(terms.compute, 'MACs')} an arm and seed for all {len(terms.points)} limits "
            "together, to within a step a limit"
        )
    return f"{prefixed(terms.compute, 'MACs')} an arm and seed, to within a step"

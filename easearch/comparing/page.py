"""The page of a comparison: one file that opens anywhere, offline, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from easearch.budget.store import write_atomic
from easearch.comparing.figure import figure
from easearch.comparing.files import PAGE
from easearch.comparing.judge import RESAMPLES, Row, sentence
from easearch.comparing.results import Comparison
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
    return (
        environment("easearch.comparing")
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
            figure=figure(rows, found.reference) if rows else "",
            table=_table(rows, terms, found.reference),
            resamples=RESAMPLES,
            legend=[(row.arm, row.about) for row in rows],
            facts=_facts(terms, rows),
            notes=found.notes,
            recipe=yaml.safe_dump(dict(terms.recipe), sort_keys=False, allow_unicode=True),
        )
    )


def table_of(found: Comparison) -> list[tuple[str, ...]]:
    """The table of the arms, the head first."""
    table = _table(found.rows, found.terms, found.reference)
    return [tuple(table["columns"]), *(tuple(row) for row in table["rows"])]


def _table(rows: Sequence[Row], terms: Terms, reference: str) -> dict[str, Any]:
    meters = list(terms.limits)
    columns = ["arm", "test accuracy", "95 %", f"against {reference}", "95 %"]
    columns += [*(meter_title(meter) for meter in meters), "limits kept", "compute", "time"]
    return {
        "columns": columns,
        "rows": [[row.arm, *_cells(row, terms)] for row in rows],
        "marked": [number for number, row in enumerate(rows) if row.claim == "ahead"],
    }


def _cells(row: Row, terms: Terms) -> list[str]:
    points = None if row.difference is None else signed_text(f"{100 * row.difference:+.2f}")
    costs = [quantity(row.costs[meter], terms.units[meter]) for meter in terms.limits]
    return [
        percent(row.accuracy, 2),
        _ends(row.interval, ""),
        points or "",
        _ends(row.difference_interval, "+"),
        *costs,
        f"{row.met} of {len(row.seeds)}",
        prefixed(row.compute, "MACs"),
        duration(row.seconds),
    ]


def _ends(interval: tuple[float, float] | None, sign: str) -> str:
    if interval is None:
        return ""
    low, high = (signed_text(f"{100 * end:{sign}.2f}") for end in interval)
    return f"{low} to {high}"


def _facts(terms: Terms, rows: Sequence[Row]) -> list[tuple[str, str]]:
    seeds = sorted({seed for row in rows for seed in row.seeds})
    limits = [
        f"{meter_title(name)} {quantity(limit, terms.units[name])}"
        for name, limit in terms.limits.items()
    ]
    wide = ", ".join(f"{name} {width}" for name, width in terms.uniform.items())
    versions = ", ".join(f"{name} {version}" for name, version in terms.versions.items())
    cpu = terms.host.get("cpu", "unknown")
    return [
        ("limits", ", ".join(limits)),
        ("compute", f"{prefixed(terms.compute, 'MACs')} an arm and seed, to within a step"),
        ("uniform widths", f"×{terms.factor:.2f} in steps of {terms.width_step}: {wide}"),
        ("seeds", ", ".join(map(str, seeds))),
        ("machine", f"{cpu}, {count(terms.threads)} thread{'s' if terms.threads > 1 else ''}"),
        ("commit", terms.commit or "not known"),
        ("versions", versions),
    ]

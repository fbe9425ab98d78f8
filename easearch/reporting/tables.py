"""The tables of the page as text: certificate, evidence, and what the run was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easearch.growth.events import Step
from easearch.recipe.evidence import default_of, grounds
from easearch.reporting.digits import (
    SPACE,
    count,
    day,
    duration,
    meter_title,
    percent,
    prefixed,
    quantity,
    sentence,
    significant,
    trust,
)
from easearch.reporting.files import Arm, Certificate, Certified, Evidence, Facts, Recipe

NONE = "–"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Column titles and rows of text; `marked` rows stand out. The first column holds names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()


def certificate_table(certificate: Certificate) -> Table:
    """A row a limit: what was predicted, measured and allowed."""
    rows = tuple(
        (
            sentence(meter_title(row.meter)),
            _or_none(row.predicted, lambda v, r=row: f"{quantity(v, r.unit, 4)}{_within(r)}"),
            _or_none(row.measured, lambda v, u=row.unit: quantity(v, u, 4)),
            _or_none(row.error, lambda v: percent(v, sign=True)),
            _or_none(row.noise or None, lambda v: f"±{SPACE}{percent(v)}"),
            quantity(row.limit, row.unit, 4),
            "not decided" if not row.decided else "yes" if row.meets else "no",
        )
        for row in certificate.limits
    )
    return Table(
        columns=("", "predicted", "measured", "error", "noise", "limit", "meets it"),
        rows=rows,
        marked=frozenset(i for i, row in enumerate(certificate.limits) if not row.meets),
    )


def _within(row: Certified) -> str:
    return f" ±{SPACE}{percent(row.interval)}" if row.interval else ""


def rounds_table(steps: Sequence[Step], facts: Facts) -> Table:
    """A row a growth round: when, how much, and what held it back."""
    meters = [meter for meter in facts.limits if all(meter in step.costs_after for step in steps)]
    ranked = any(step.rank_correlation is not None for step in steps)
    deeper = any(step.layers for step in steps)
    return Table(
        columns=(
            "",
            "epoch",
            "moves",
            *(["new layers"] if deeper else []),
            *map(meter_title, meters),
            "held by",
            "held out",
            *(["halves agree"] if ranked else []),
            "scored on",
        ),
        rows=tuple(
            (
                f"growth {step.round}",
                f"{step.epoch:.4g}",
                count(step.moves),
                *([count(len(step.layers))] if deeper else []),
                *(_change(step, meter, facts.limits[meter].unit) for meter in meters),
                meter_title(step.binding) if step.binding else "nothing",
                _or_none(step.held_out, lambda v: percent(v, 0)),
                *([_or_none(step.rank_correlation, "{:.2f}".format)] if ranked else []),
                f"{count(step.images)}{SPACE}images",
            )
            for step in steps
        ),
    )


def trusted(steps: Sequence[Step]) -> tuple[str, ...]:
    """A sentence a round: how far its scoring can be trusted; none where it does not say."""
    told = ((step.round, trust(step.held_out, step.rank_correlation)) for step in steps)
    return tuple(f"Growth {number}: {text}." for number, text in told if text)


def _change(step: Step, meter: str, unit: str) -> str:
    after = quantity(step.costs_after[meter], unit)
    before = step.costs_before.get(meter)
    return after if before is None else f"{quantity(before, unit)} → {after}"


def machine_of(certificate: Certificate) -> str:
    """The machine that measured, in words: processor, threads, runtime."""
    host = certificate.host
    threads = host.get("threads")
    counted = f"{threads} thread{'' if threads == 1 else 's'}" if threads is not None else None
    return ", ".join(_any(one) for one in (host.get("cpu"), counted, host.get("runtime")) if one)


def evidence_table(evidence: Evidence) -> Table:
    """A row an arm, best accuracy marked, whoever it is. Unknown keys become columns."""
    extra = list(dict.fromkeys(key for row in evidence.rows for key in (row.model_extra or {})))
    known = [key for key in _ARM if any(getattr(row, key) is not None for row in evidence.rows)]
    best = max((row.accuracy_mean for row in evidence.rows), default=None)
    return Table(
        columns=("", "test accuracy", *(_ARM[key][0] for key in known), *map(_spoken, extra)),
        rows=tuple(
            (
                row.arm,
                _accuracy(row),
                *(_or_none(getattr(row, key), _ARM[key][1]) for key in known),
                *(_or_none((row.model_extra or {}).get(key), _any) for key in extra),
            )
            for row in evidence.rows
        ),
        marked=frozenset(i for i, row in enumerate(evidence.rows) if row.accuracy_mean == best),
    )


@dataclass(frozen=True, kw_only=True)
class Rest:
    """A field that a run left at its default, and what that default rests on."""

    field: str
    value: str
    """Empty where the default is a rule, not a value."""
    claim: str
    report: str


def grounds_of(recipe: Recipe) -> tuple[Rest, ...]:
    """What the defaults that the run left as they are rest on."""
    return tuple(
        Rest(field=field, value=_exactly(default_of(field)), claim=one.claim, report=one.report)
        for field, one in grounds(recipe.values).items()
    )


def facts_tables(facts: Facts) -> dict[str, Table]:
    """What it took and what it ran on, by heading; empty ones are left out."""
    tables = {
        "Compute": _pairs(facts.compute, lambda v: prefixed(v, "MACs")),
        "Time": _pairs(facts.seconds, duration),
        "Run": _pairs(_run(facts), str),
        "Host": _pairs({k: v for k, v in facts.host.items() if k != "key"}, _any),
        "Versions": _pairs(_versions(facts), str),
    }
    return {title: table for title, table in tables.items() if table.rows}


def _run(facts: Facts) -> dict[str, str]:
    memory = None if facts.peak_memory_mb is None else f"{count(facts.peak_memory_mb)}{SPACE}MB"
    found = {
        "seed": None if facts.seed is None else str(facts.seed),
        "trained on": facts.device,
        "peak memory": memory,
        "test loss": _or_none(facts.test.loss, lambda v: f"{significant(v)}{SPACE}nats"),
        "validation loss": _or_none(
            facts.validation.loss, lambda v: f"{significant(v)}{SPACE}nats"
        ),
        "date": day(facts.date) if facts.date else None,
        "commit": facts.commit,
        "status": None if facts.status_text else _spoken(facts.status or ""),
    }
    return {name: text for name, text in found.items() if text and text != NONE}


def _versions(facts: Facts) -> dict[str, str]:
    ours = {"easearch": facts.easearch} if facts.easearch else {}
    return {**ours, **facts.versions}


def _pairs(values: Mapping[str, Any], text: Any) -> Table:
    return Table(
        columns=(), rows=tuple((_spoken(name), text(value)) for name, value in values.items())
    )


def _accuracy(row: Arm) -> str:
    if row.accuracy_std is None:
        return percent(row.accuracy_mean)
    return f"{100 * row.accuracy_mean:.1f} ± {percent(row.accuracy_std)}"


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _or_none(value: Any, text: Any) -> str:
    return NONE if value is None else str(text(value))


def _exactly(value: Any) -> str:
    """A default as somebody wrote it; nothing where it is a rule."""
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else _any(value)


def _any(value: Any) -> str:
    """A value of unknown kind, without more digits than it deserves."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return significant(value, 4)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_any(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_any(one) for one in value)
    return NONE if value is None else str(value)


_ARM = {
    "seeds": ("seeds", count),
    "compute": ("compute", lambda value: prefixed(value, "MACs")),
    "latency_ms": ("latency", lambda value: quantity(value, "ms")),
}

"""The page of a front: the networks of a run of several limits, and how one trunk led to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup

from easearch.budget.store import write_atomic
from easearch.reporting.branches import branches
from easearch.reporting.digits import (
    SPACE,
    count,
    meter_title,
    percent,
    prefixed,
    quantity,
    sentence,
)
from easearch.reporting.files import Certified, Point
from easearch.reporting.frontier import frontier, meters_of
from easearch.reporting.headline import Card, Headline
from easearch.reporting.page import environment
from easearch.reporting.reading import FrontFolder, read_front
from easearch.reporting.style import PALETTE
from easearch.reporting.tables import NONE, Table, evidence_table, facts_tables, grounds_of


def write_report(run: Path) -> Path:
    """Write `report.html` into the top folder of a front: the same folder gives the same bytes.

    Raises:
        FileFormatError: `recipe.yaml` or `run.json` is missing or damaged.
    """
    target = Path(run) / "report.html"
    write_atomic(target, render(read_front(Path(run))))
    return target


def render(run: FrontFolder) -> str:
    """The page as text."""
    return (
        environment()
        .get_template("front.html.j2")
        .render(
            run=run,
            headline=headline(run),
            palette=PALETTE,
            accuracy=frontier(run),
            networks=networks_table(run.facts.front),
            branches=branches(run),
            cut=_cut(run),
            evidence=evidence_table(run.evidence) if run.evidence else None,
            grounds=grounds_of(run.recipe),
            facts=facts_tables(run.facts),
        )
    )


def _cut(run: FrontFolder) -> bool:
    """Whether the smaller networks were cut from the trunk's end."""
    front = run.recipe.values.get("front")
    return isinstance(front, Mapping) and front.get("smaller") == "cut"


def headline(run: FrontFolder) -> Headline:
    """How many networks there are, and whether each keeps its limits."""
    points = run.facts.front
    missed = [point for point in points if not point.meets]
    numbers = ", ".join(str(point.number) for point in missed)
    verdict = "Every limit is kept"
    if missed:
        verdict = f"Limit {numbers} is missed" if len(missed) == 1 else f"Limits {numbers} missed"
    networks = "1 network" if len(points) == 1 else f"{len(points)} networks"
    told = [f"{networks} from one run, each measured on its exported file."]
    told += [_span(points, meter) for meter in meters_of(points)]
    told.append(_accuracies(points))
    return Headline(
        verdict=verdict,
        tone="bad" if missed else "good",
        sentence=" ".join(one for one in told if one),
        cards=tuple(_card(point, meters_of(points)[0]) for point in points),
    )


def _span(points: tuple[Point, ...], meter: str) -> str:
    """`Latency: 0.0331 ms to 0.0856 ms.`"""
    found = [row for row in (_proof(point, meter) for point in points) if row and row.value]
    if not found:
        return ""
    ends = [quantity(row.value or 0.0, row.unit) for row in (found[0], found[-1])]
    return f"{sentence(meter_title(meter))}: {ends[0]} to {ends[1]}."


def _accuracies(points: tuple[Point, ...]) -> str:
    found = [point.test for point in points if point.test.accuracy is not None]
    if not found:
        return "The test images have not been looked at."
    first, last = (percent(one.accuracy or 0.0) for one in (found[0], found[-1]))
    images = f" on {count(found[-1].images)} images" if found[-1].images is not None else ""
    return f"Test accuracy: {first} to {last}{images}."


def _card(point: Point, meter: str) -> Card:
    row, share = _proof(point, meter), None
    detail = ""
    if row is not None and row.value is not None:
        share = row.value / row.limit if row.limit else None
        detail = f"{quantity(row.value, row.unit)} of {quantity(row.limit, row.unit)}"
    accuracy = point.test.accuracy
    return Card(
        label=f"Limit {point.number}",
        value=NONE if accuracy is None else percent(accuracy),
        detail=detail,
        share=share,
    )


def networks_table(points: tuple[Point, ...]) -> Table:
    """A row a limit: what it allows, what the file takes, how good the network is; named by its
    folder.
    """
    meters = [row.meter for row in points[-1].proofs] if points else []
    columns: dict[str, list[str]] = {"": [_link(point.folder) for point in points]}
    for meter in meters:
        rows = [_proof(point, meter) for point in points]
        allowed = [quantity(row.limit, row.unit) if row else NONE for row in rows]
        columns[f"{meter_title(meter)} limit"] = allowed
        columns[f"{meter_title(meter)} measured"] = [_used(row) if row else NONE for row in rows]
    columns["met"] = ["yes" if point.meets else "no" for point in points]
    columns["test accuracy"] = [_percent(point.test.accuracy) for point in points]
    if any(point.test_exported.accuracy is not None for point in points):
        columns["as exported"] = [_percent(point.test_exported.accuracy) for point in points]
    if "params" not in meters:
        columns["parameters"] = [_or_none(point.params, count) for point in points]
    if "macs" not in meters:
        columns["MACs"] = [_or_none(point.macs, prefixed) for point in points]
    return Table(
        columns=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
        marked=frozenset(i for i, point in enumerate(points) if not point.meets),
    )


def _link(folder: str) -> str:
    return Markup('<a href="{0}/report.html">{0}</a>').format(folder)


def _used(row: Certified) -> str:
    if row.value is None:
        return NONE
    noise = f" ±{SPACE}{percent(row.noise)}" if row.noise else ""
    share = f" ({percent(row.value / row.limit, 0)})" if row.limit else ""
    predicted = " predicted" if row.measured is None else ""
    return f"{quantity(row.value, row.unit)}{noise}{predicted}{share}"


def _percent(accuracy: float | None) -> str:
    return _or_none(accuracy, percent)


def _or_none(value: float | None, text: Callable[[float], str]) -> str:
    return NONE if value is None else text(value)


def _proof(point: Point, meter: str) -> Certified | None:
    return next((row for row in point.proofs if row.meter == meter), None)

"""The HTML page of a run: one file that opens anywhere, offline, without scripts."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from easearch.budget.store import write_atomic
from easearch.reporting.curve import curve
from easearch.reporting.digits import day, full_stop
from easearch.reporting.headline import headline
from easearch.reporting.layers import layers
from easearch.reporting.reading import RunFolder, read_run
from easearch.reporting.rounds import rounds
from easearch.reporting.style import PALETTE
from easearch.reporting.tables import (
    certificate_table,
    evidence_table,
    facts_tables,
    grounds_of,
    machine_of,
    rounds_table,
    trusted,
)
from easearch.reporting.widths import widths


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder: the same folder gives the same bytes.

    Raises:
        FileFormatError: `recipe.yaml` or `run.json` is missing or damaged. Other files may be
            missing: the page says so.
    """
    target = Path(run) / "report.html"
    write_atomic(target, render(read_run(Path(run))))
    return target


def environment(*packages: str) -> Environment:
    """Where pages' templates are found: in these packages first, then here."""
    homes = [PackageLoader(name, ".") for name in (*packages, "easearch.reporting")]
    found = Environment(
        loader=ChoiceLoader(homes),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(day=day, full_stop=full_stop)
    return found


def render(run: RunFolder) -> str:
    """The page as text."""
    return (
        environment()
        .get_template("template.html.j2")
        .render(
            run=run,
            headline=headline(run),
            palette=PALETTE,
            curve=curve(run),
            widths=widths(run),
            layers=layers(run.layers),
            rounds=rounds(run.steps),
            rounds_table=rounds_table(run.steps, run.facts) if run.steps else None,
            trusted=trusted(run.steps),
            certificate=certificate_table(run.certificate) if run.certificate else None,
            machine=machine_of(run.certificate) if run.certificate else "",
            evidence=evidence_table(run.evidence) if run.evidence else None,
            grounds=grounds_of(run.recipe),
            facts=facts_tables(run.facts),
        )
    )

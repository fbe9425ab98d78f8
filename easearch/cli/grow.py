"""`easearch grow`: a recipe becomes a network that fits, certified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Json, Set, overrides
from easearch.cli.output import errors_console, print_json, print_rows, working

if TYPE_CHECKING:
    from easearch.run import Run


def grow(
    recipe: Annotated[Path, typer.Argument(help="A recipe, a YAML file.", show_default=False)],
    changes: Set = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run; by default a new one in runs/.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Grow the network that a recipe describes, export it, and prove that it keeps its limits."""
    values = overrides(changes)
    with working():
        from easearch.cli.progress import watching
        from easearch.run import grow as run_grow

        with watching(errors_console()) as watch:
            run = run_grow(recipe, out, watch=watch, overrides=values)
    if as_json:
        print_json({**run.summary, "path": run.path, "certificate": _certificate(run)})
    else:
        print_rows(summary_rows(run))


def _certificate(run: Run) -> Any:
    return run.certificate.to_json() if run.certificate is not None else None


def summary_rows(run: Run) -> list[tuple[str, str]]:
    """What a person wants to know first: accuracy, the limits, what was spent, where it lies."""
    from easearch.reporting.digits import duration, percent, quantity

    told = run.summary
    rows = [("test accuracy", percent(told["test"]["accuracy"]))]
    if "test_exported" in told:
        accuracy = percent(told["test_exported"]["accuracy"])
        rows.append(("exported", f"test accuracy {accuracy} in {told['precision']}"))
    rows += [("limit", text) for text in _proofs(run)]
    rows.append(("compute", quantity(told["compute"]["total"], "MACs")))
    rows.append(("time", duration(told["seconds"]["total"])))
    rows += [("note", note) for note in told.get("notes", ())]
    if run.path is not None:
        rows.append(("folder", str(run.path)))
        rows.append(("report", f"open {run.path / 'report.html'} in a browser"))
    return rows


def _proofs(run: Run) -> list[str]:
    from easearch.reporting.digits import percent, quantity

    found = []
    for proof in run.certificate.proofs if run.certificate is not None else ():
        verdict = "met" if proof.meets else "MISSED"
        limit = quantity(proof.limit, proof.unit)
        text = f"{proof.meter} {limit} {verdict}: predicted {quantity(proof.predicted, proof.unit)}"
        if proof.measured is not None:
            text += f", measured {quantity(proof.measured, proof.unit)}"
        if proof.noise:
            text += f" ± {percent(proof.noise)}"
        found.append(text)
    return found or ["nothing is certified"]

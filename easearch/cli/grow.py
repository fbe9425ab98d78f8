"""`easearch grow`: a recipe becomes a network that fits, certified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Json, RecipeFile, Set, overrides
from easearch.cli.output import errors_console, print_json, print_rows, working

if TYPE_CHECKING:
    from easearch.budget.certificate import Proof
    from easearch.run import Run


def grow(
    recipe: RecipeFile,
    changes: Set = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run; by default a new one in runs/.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Grow the network that a recipe describes, export it, and prove that it keeps its limits."""
    values = overrides(changes)
    with working():
        from easearch.claims import unfinished
        from easearch.cli.progress import watching
        from easearch.growth.events import Note
        from easearch.run import RUNS
        from easearch.run import grow as run_grow

        with watching(errors_console()) as watch:
            for folder in unfinished(out.parent if out is not None else RUNS):
                watch(
                    Note(text=f"{folder} was begun and is not finished; what was trained is there")
                )
            run = run_grow(recipe, out, watch=watch, overrides=values)
    if as_json:
        print_json(_document(run))
    else:
        print_rows(summary_rows(run))


def _document(run: Run) -> dict[str, Any]:
    """Everything: of a front the whole, and each network with its certificate."""
    told = {**run.summary, "path": run.path}
    if not run.front:
        return {**told, "certificate": _certificate(run)}
    rows = zip(run.summary["front"], run.front, strict=True)
    networks = [{**row, "path": one.path, "certificate": _certificate(one)} for row, one in rows]
    return {**told, "front": networks}


def _certificate(run: Run) -> Any:
    return run.certificate.to_json() if run.certificate is not None else None


def summary_rows(run: Run) -> list[tuple[str, str]]:
    """What a person wants to know first: accuracy, the limits, what was spent, where it lies."""
    from easearch.reporting.digits import duration, quantity

    told = run.summary
    rows = _network(run) if not run.front else [(one.path.name, _point(one)) for one in run.front]
    rows.append(("compute", quantity(told["compute"]["total"], "MACs")))
    rows.append(("time", duration(told["seconds"]["total"])))
    rows += [("note", note) for note in told.get("notes", ())]
    if run.path is not None:
        rows.append(("folder", str(run.path)))
        rows.append(("report", f"open {run.path / 'report.html'} in a browser"))
    return rows


def _network(run: Run) -> list[tuple[str, str]]:
    """The rows of a run of one limit."""
    from easearch.reporting.digits import percent

    told = run.summary
    rows = [("test accuracy", percent(told["test"]["accuracy"]))]
    if "test_exported" in told:
        accuracy = percent(told["test_exported"]["accuracy"])
        rows.append(("exported", f"test accuracy {accuracy} in {told['precision']}"))
    return rows + [("limit", text) for text in _proofs(run)]


def _point(run: Run) -> str:
    """A network of a front on one line: `test 86.1 %, latency 0.0331 ms of 0.0341 ms, met`."""
    from easearch.reporting.digits import percent, quantity

    told = run.summary
    parts = [f"test {percent(told['test']['accuracy'])}"]
    if "test_exported" in told:
        parts.append(f"in {told['precision']} {percent(told['test_exported']['accuracy'])}")
    for proof in run.certificate.proofs:
        cost = quantity(proof.predicted if proof.measured is None else proof.measured, proof.unit)
        parts.append(
            f"{proof.meter} {cost} of {quantity(proof.limit, proof.unit)}, {_verdict(proof)}"
        )
    return ", ".join(parts)


def _verdict(proof: Proof) -> str:
    return "MISSED" if proof.verdict == "missed" else proof.verdict


def _proofs(run: Run) -> list[str]:
    from easearch.reporting.digits import percent, quantity

    found = []
    for proof in run.certificate.proofs if run.certificate is not None else ():
        limit = quantity(proof.limit, proof.unit)
        predicted = quantity(proof.predicted, proof.unit)
        text = f"{proof.meter} {limit} {_verdict(proof)}: predicted {predicted}"
        if proof.measured is not None:
            text += f", measured {quantity(proof.measured, proof.unit)}"
        if proof.noise:
            text += f" ± {percent(proof.noise)}"
        if proof.surprise:
            text += f", OUTSIDE the stated {percent(proof.interval or 0.0)}"
        found.append(text)
    return found or ["nothing is certified"]

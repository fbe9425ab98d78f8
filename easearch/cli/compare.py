"""`easearch compare`: growing against its rivals, at equal compute and equal limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Json, RecipeFile, Set, check_count, overrides
from easearch.cli.output import (
    errors_console,
    print_json,
    print_prose,
    print_rows,
    print_table,
    working,
)

if TYPE_CHECKING:
    from easearch.comparing import Comparison, Foresight
    from easearch.comparing.terms import Terms


def compare(
    recipe: RecipeFile,
    arms: Annotated[
        str, typer.Option(metavar="ARM,ARM:OPTION,...", help="Ways to a network, in a row.")
    ] = "grow,uniform",
    seeds: Annotated[
        int, typer.Option(help="How many, from the recipe's on.", callback=check_count)
    ] = 5,
    against: Annotated[
        str | None,
        typer.Option(metavar="ARM", help="The reference; by default uniform, else the first arm."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder; one that is there already is continued."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Processes that share the work.", callback=check_count)
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what it will take, and write nothing.")
    ] = False,
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Compare arms at equal compute; status 1 if an entry failed."""
    values = overrides(changes)
    # a comma within brackets is part of a value: grow:at=[0.1,0.2]
    names = [one.strip() for one in re.split(r",(?![^\[{]*[\]}])", arms) if one.strip()]
    with working():
        from easearch.cli.progress import watching
        from easearch.comparing import compare as run_comparison
        from easearch.comparing import foresee
        from easearch.recipe import Recipe

        folder = out or Path("runs") / f"{Recipe.load(recipe, values).name}-compare"
        with watching(errors_console()) as watch:
            how: dict[str, Any] = {"out": folder, "jobs": jobs, "overrides": values, "watch": watch}
            if dry_run:
                ahead = foresee(recipe, names, seeds, **how)
            else:
                found = run_comparison(recipe, names, seeds, against=against, **how)
    if dry_run:
        told = {"left": ahead.left, "total_seconds": ahead.total_seconds}
        compute = {"total_compute": ahead.total_compute}
        print_json({**vars(ahead), **told, **compute}) if as_json else print_foresight(ahead)
        return
    print_json({**found.to_json(), "path": found.path}) if as_json else print_comparison(found)
    if found.failures or found.left:
        raise typer.Exit(1)


def print_foresight(ahead: Foresight) -> None:
    """Print what a comparison will take."""
    from easearch.reporting.digits import duration, prefixed

    terms = ahead.terms
    low, high = ahead.total_seconds
    rows = [
        ("entries", f"{len(ahead.entries)}, {len(ahead.done)} of them done"),
        *limit_rows(terms),
        ("compute", f"{prefixed(terms.compute, 'MACs')} an entry"),
        ("in all", prefixed(ahead.total_compute, "MACs")),
        ("one entry", f"{duration(ahead.seconds[0])} to {duration(ahead.seconds[1])}"),
        ("time in all", f"{duration(low)} to {duration(high)} in {ahead.jobs} at a time"),
    ]
    print_rows(rows)
    print_prose("Time is that of training; exporting and measuring come on top.")


def limit_rows(terms: Terms) -> list[tuple[str, str]]:
    """A row a limit: the limit, and the uniform network that just keeps it."""
    from easearch.reporting.digits import quantity

    rows = []
    for number, point in enumerate(terms.points, 1):
        limits = (f"{name} {quantity(v, terms.units[name])}" for name, v in point.limits.items())
        wide = f"uniform: {point.factor:.2f} times the seed's widths"
        rows.append((f"limit {number}" if terms.front else "limit", f"{', '.join(limits)}; {wide}"))
    return rows


def print_comparison(found: Comparison) -> None:
    """Print the table and what may be said."""
    from easearch.comparing.judge import sentence
    from easearch.comparing.telling import table_of

    print_table(table_of(found))
    print()
    for row in found.rows:
        if row.claim != "reference":
            print_prose(sentence(row, found.reference))
    if found.weights:
        print_prose(found.weights)
    for gap in found.gaps:
        print_prose(gap)
    print_rows([("page", str(found.path / "comparison.html"))])

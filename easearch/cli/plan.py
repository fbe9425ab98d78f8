"""`easearch plan`: what a recipe can do and will take, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from easearch.cli.options import Json, RecipeFile, Set, check_number, overrides
from easearch.cli.output import (
    errors_console,
    print_json,
    print_prose,
    print_rows,
    print_table,
    working,
)

if TYPE_CHECKING:
    from easearch.preflight.plan import Preflight


def plan(
    recipe: RecipeFile,
    changes: Set = None,
    minutes: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1e4,
            callback=check_number,
            help="Minutes of measuring at most, about; the rest is estimated.",
        ),
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Tell what a run can reach and what it will take; status 1 if it cannot be done."""
    values = overrides(changes)
    with working():
        from easearch.cli.progress import watching
        from easearch.preflight.plan import plan as look_ahead

        with watching(errors_console()) as watch:
            found = look_ahead(recipe, overrides=values, watch=watch, minutes=minutes)
    if as_json:
        document = {"total_seconds": found.estimate.total, "channels_that_grow": found.channels[0]}
        print_json({**vars(found), **document})
    else:
        print_plan(found)


def print_plan(found: Preflight) -> None:
    """Print a plan for a person, as wide as the terminal."""
    about, data, grows, takes = found.sentences()
    print_prose(about)
    print()
    print_table(found.limit_rows())
    print()
    print_prose(data)
    if rows := found.class_rows():
        print_table(rows)
    print()
    print_prose(grows)
    print_table(found.group_rows())
    print()
    print_prose(takes)
    print_rows(found.cost_rows())
    for note in found.notes:
        print_prose(f"note: {note}")

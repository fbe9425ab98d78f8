"""`easearch doctor`: what is installed, what this host can measure, and what each means."""

from __future__ import annotations

from dataclasses import asdict

import typer

from easearch.cli.options import Json
from easearch.cli.output import columns, print_json, working
from easearch.table import wrapped

STATE = 9
"""Columns of `ok` or `missing`."""


def doctor(as_json: Json = False) -> None:
    """Say ok or missing of all that easearch needs; status 1 if something required is missing."""
    with working():
        from easearch.cli.checkup import checkup

        findings = checkup()
    fine = all(one.ok for one in findings)
    if as_json:
        told = [{**asdict(one), "state": one.state} for one in findings]
        print_json({"ok": fine, "findings": told})
    else:
        room = columns() - STATE
        for one in findings:
            name = one.name if one.there else f"{one.name} (optional)"
            first, *more = [*wrapped(f"{name}: {one.value}", room), *wrapped(one.means, room)]
            print(f"{one.state:<{STATE}}{first}")
            for line in more:
                print(f"{'':<{STATE}}{line}")
        print()
        print("all that is required is there" if fine else "something required is missing")
    if not fine:
        raise typer.Exit(1)

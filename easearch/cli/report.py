"""`easearch report`: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from easearch.cli.options import Json
from easearch.cli.output import print_json, print_rows, working


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write the report of a run again: one file that opens offline, in any browser."""
    with working():
        from easearch.reporting import write_report

        page = write_report(run)
    if as_json:
        print_json({"report": page})
    else:
        print_rows([("report", f"open {page} in a browser")])

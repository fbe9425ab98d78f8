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
    """Write the report of a run again: one file that opens offline, in any browser.

    Of a run of several limits it is the page of all its networks, and each network's own.
    """
    with working():
        from easearch.growth.architecture import networks_of
        from easearch.reporting import write_report

        page = write_report(run)
        pages = [write_report(folder) for folder in networks_of(run)]
    if as_json:
        print_json({"report": page, **({"networks": pages} if pages else {})})
    else:
        rows = [("report", f"open {page} in a browser")]
        print_rows([*rows, *((one.parent.name, str(one)) for one in pages)])

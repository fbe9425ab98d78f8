"""`easearch measure`: what a network costs, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from easearch.cli.options import Json, Set, overrides
from easearch.cli.output import print_json, working

METERS = "macs,params,memory,latency"


def measure(
    model: Annotated[
        str,
        typer.Argument(help="A seed, a run folder, or package.module:factory.", show_default=False),
    ],
    changes: Set = None,
    device: Annotated[str, typer.Option(help="Where latency is measured.")] = "host",
    meters: Annotated[str, typer.Option(help="Meters, with commas between them.")] = METERS,
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="One input; seeds: 28 pixels a side."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a network: a row a layer, and the total, under every meter."""
    arguments = overrides(changes)
    if ":" in model and size is None:
        raise typer.BadParameter("a factory says no input size; give one", param_hint="--input")
    with working():
        from easearch.budget import measure as price
        from easearch.cli.subject import find_subject
        from easearch.tracing import trace

        subject = find_subject(model, arguments, size)
        graph = trace(subject.model, subject.sample)
        table = price(graph, [name.strip() for name in meters.split(",")], device)
    if as_json:
        totals = {name: {"total": cost.total, "unit": cost.unit} for name, cost in table.items()}
        print_json(
            {
                "model": model,
                "input": list(subject.sample.shape[1:]),
                "device": device,
                "costs": totals,
                "layers": table.rows,
                "uncounted": table.uncounted,
            }
        )
    else:
        print(table)

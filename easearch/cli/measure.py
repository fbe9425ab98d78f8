"""`easearch measure`: what a network costs, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from easearch.cli.options import Factory, Json, Model, Set, Size, check_size, overrides
from easearch.cli.output import columns, print_json, working

METERS = "macs,params,memory,latency"


def measure(
    model: Model,
    changes: Set = None,
    device: Annotated[str, typer.Option(help="Where latency is measured.")] = "host",
    meters: Annotated[str, typer.Option(help="Meters, with commas between them.")] = METERS,
    precision: Annotated[str, typer.Option(help="fp32 or int8.")] = "fp32",
    size: Size = None,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Measure a network: a row a layer, and the total, under every meter."""
    arguments = overrides(changes)
    check_size(model, size)
    with working():
        from easearch.budget import measure as price
        from easearch.cli.subject import find_subject
        from easearch.growth.checked import trace

        subject = find_subject(model, arguments, size, factory)
        graph = trace(subject.model, subject.sample)
        table = price(graph, [name.strip() for name in meters.split(",")], device, precision)
    if as_json:
        totals = {
            name: {
                "total": cost.total,
                "unit": cost.unit,
                "interval": cost.interval,
                "note": cost.note,
            }
            for name, cost in table.items()
        }
        print_json(
            {
                "model": model,
                "input": subject.sizes,
                "device": device,
                "precision": precision,
                "costs": totals,
                "layers": table.rows,
                "uncounted": table.uncounted,
            }
        )
    else:
        print("\n".join(table.lines(columns())))

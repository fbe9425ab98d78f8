"""`easearch check`: which layers of a network can grow, which are carried or frozen, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from easearch.cli.options import Factory, Json, Model, Set, Size, check_size, overrides
from easearch.cli.output import print_json, print_prose, print_table, working

if TYPE_CHECKING:
    from easearch.cli.growable import Row

HEADS = ("layer", "kind", "channels", "status", "why")


def check(
    model: Model,
    changes: Set = None,
    size: Size = None,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Tell which layers of a network can grow, and why others cannot; status 1 if none can."""
    arguments = overrides(changes)
    check_size(model, size)
    with working():
        from easearch.cli.growable import growable, layer_rows
        from easearch.cli.subject import find_subject
        from easearch.growth.checked import trace

        subject = find_subject(model, arguments, size, factory)
        graph = trace(subject.model, subject.sample)
        rows, told = layer_rows(graph), growable(graph)
    if as_json:
        groups = [
            {"name": group.name, "width": group.width, "frozen": group.frozen}
            for group in graph.channel_groups
        ]
        document: dict[str, Any] = {
            "model": model,
            "input": subject.sizes,
            "grows": told.groups > 0,
            "groups": groups,
            "layers": [asdict(row) for row in rows],
        }
        print_json(document)
    else:
        print_table([HEADS, *(_cells(row) for row in rows)])
        print()
        print_prose(str(told))
    if not told.groups:
        raise typer.Exit(1)


def _cells(row: Row) -> tuple[str, ...]:
    ends = ("-" if n is None else str(n) for n in (row.in_channels, row.out_channels))
    return row.name, row.kind, " -> ".join(ends), row.status, row.why

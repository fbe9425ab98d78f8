"""`easearch export`: a finished run as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from easearch.cli.options import Factory, Json
from easearch.cli.output import plain, print_json, print_rows, working

SAMPLES, SEED = 2, 0


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The file; by default model.onnx there.")] = None,
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="One input; default: as it learned."),
    ] = None,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Write the network of a run as ONNX, and check that the file computes the same."""
    target = out if out is not None else run / "model.onnx"
    with working():
        import torch

        from easearch.cli.subject import read_size
        from easearch.exporting import export as write
        from easearch.growth.checkpoint import load, read_architecture

        model = load(run, factory=factory)
        shape = read_size(size) if size else read_architecture(run).input
        # any numbers but zeros: parity on zeros proves little
        sample = torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(SEED))
        told = write(model, sample, target)
    if as_json:
        print_json({"file": target, "report": told})
    else:
        facts = plain(told)
        rows = facts.items() if isinstance(facts, dict) else [("report", facts)]
        print_rows([("file", str(target)), *((str(k), str(v)) for k, v in rows if k != "file")])

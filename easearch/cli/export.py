"""`easearch export`: a finished run as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Factory, Json
from easearch.cli.output import plain, print_json, print_rows, working

if TYPE_CHECKING:
    from easearch.recipe import Recipe

SAMPLES, SEED = 2, 0
RECIPE = "recipe.yaml"


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="The file; by default model.onnx there, or model-int8.onnx."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|int8", help="Numbers to compute with; by default the run's."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="One input; default: as it learned."),
    ] = None,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Write the network of a run as ONNX, and check that the file computes the same."""
    with working():
        import torch

        from easearch.cli.subject import read_size
        from easearch.exporting import export as write
        from easearch.growth.checkpoint import load, read_architecture

        model = load(run, factory=factory)
        architecture = read_architecture(run)
        shape = read_size(size) if size else architecture.input
        own = _recipe(run).budget.precision if (run / RECIPE).is_file() else "fp32"
        chosen = precision or own
        target = out or run / ("model.onnx" if chosen == own else f"model-{chosen}.onnx")
        # any numbers but zeros: parity on zeros proves little
        sample = torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(SEED))
        if architecture.form is not None and not size:
            sample = architecture.sample()
        calibration = _training_images(run) if chosen == "int8" else None
        told = write(model, sample, target, chosen, calibration=calibration)
    if as_json:
        print_json({"file": target, "report": told})
    else:
        facts = plain(told)
        rows = facts.items() if isinstance(facts, dict) else [("report", facts)]
        print_rows([("file", str(target)), *((str(k), str(v)) for k, v in rows if k != "file")])


def _recipe(run: Path) -> Recipe:
    from easearch.recipe import Recipe

    return Recipe.load(run / RECIPE)


def _training_images(run: Path) -> Any:
    """What the run learned from, as far as calibration needs it."""
    from easearch.errors import ExportError
    from easearch.feed import DataFeed, data_of

    if not (run / RECIPE).is_file():
        raise ExportError(
            f"int8 is calibrated on training images, which {run / RECIPE} names: expected that "
            "file, got none; export a whole run, or call easearch.export with calibration=batches"
        )
    recipe = _recipe(run)
    return DataFeed(dataset=data_of(recipe), recipe=recipe, device="cpu").calibrating()

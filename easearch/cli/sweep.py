"""`easearch sweep`: many runs of one recipe, its fields chosen by Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easearch.cli.options import Json, RecipeFile, Set, check_count, overrides
from easearch.cli.output import errors_console, print_json, print_rows, working

if TYPE_CHECKING:
    from easearch.sweeps import SweepResult


def sweep(
    recipe: RecipeFile,
    trials: Annotated[int, typer.Option(help="How many runs to add.", callback=check_count)] = 10,
    changes: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the study; one that is there already is continued."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try other values of the fields that a recipe names; only runs that keep every limit count."""
    values = overrides(changes)
    with working():
        from easearch.cli.progress import watching
        from easearch.recipe import Recipe
        from easearch.sweeps import sweep as run_sweep

        plan = Recipe.load(recipe, values)
        folder = out if out is not None else Path("runs") / f"{plan.name}-sweep"
        with watching(errors_console()) as watch:
            result = run_sweep(plan, trials, folder, watch=watch)
    if as_json:
        print_json({**result.to_json(), "path": result.path})
    else:
        print_rows(summary_rows(result))


def summary_rows(result: SweepResult) -> list[tuple[str, str]]:
    """How many trials there are, the best one, and where everything lies."""
    from easearch.reporting.digits import percent, quantity

    counts = f"{len(result.trials)}, {len(result.feasible)} of them keep every limit"
    rows = [("trials", counts)]
    if result.best is None:
        rows.append(("best", "none: no trial keeps its limits; raise them or try more"))
    else:
        best = result.best
        chosen = ", ".join(f"{name}={value}" for name, value in best.values.items())
        cost = quantity(best.cost, result.unit) if best.cost is not None else "unknown"
        score = percent(best.accuracy or 0.0)
        rows.append(("best", f"trial {best.number}: validation {score}, {result.meter} {cost}"))
        rows.append(("values", chosen))
        rows.append(("folder", str(result.path / "best")))
    rows.append(("front", str(result.path / "front.svg")))
    rows += [(f"trial {one.number}", f"failed: {one.error}") for one in result.trials if one.error]
    return rows

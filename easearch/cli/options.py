"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from easearch.cli.subject import is_folder
from easearch.errors import EasearchError, shown

MOST = 10**6
"""Of anything that is counted on the command line."""
RecipeFile = Annotated[
    Path,
    typer.Argument(
        help="A recipe, a YAML file. It is code: the factory that its model names is imported and "
        "run, so read a stranger's first.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON document, and nothing else.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field; may be given many times."),
]

Model = Annotated[
    str,
    typer.Argument(help="A seed, a run folder, or package.module:factory.", show_default=False),
]
Size = Annotated[
    str | None,
    typer.Option("--input", metavar="CxHxW", help="One input; seeds: 28 pixels a side."),
]
Factory = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:NAME", help="Imported to load a run folder that your own factory began."
    ),
]


def overrides(words: Iterable[str] | None) -> dict[str, Any]:
    """The values of `--set`; one that cannot be read is a usage error."""
    from easearch.recipe import parse_overrides

    try:
        return parse_overrides(words or ())
    except EasearchError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None


def check_size(model: str, size: str | None) -> None:
    """A factory says no input size: without `--input` it is a usage error."""
    if ":" in model and size is None and not is_folder(model):
        raise typer.BadParameter("a factory says no input size; give one", param_hint="--input")


def check_count(value: int) -> int:
    """A typer callback: refuse a count below 1, or one that nobody means."""
    if not 1 <= value <= MOST:
        raise typer.BadParameter(f"expected 1 or more, {MOST:,} at most, got {shown(value)}")
    return value


def check_number(value: float) -> float:
    """A typer callback: refuse what is no number, which no bound does."""
    if math.isnan(value):
        raise typer.BadParameter("expected a number, got nan")
    return value

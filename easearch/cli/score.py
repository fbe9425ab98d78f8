"""`easearch score`: what growth would be worth, group by group, and how far that can be trusted."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Factory, Json, Set, check_count, overrides
from easearch.cli.output import print_json, print_prose, print_table, working
from easearch.errors import EasearchError, FileFormatError, RecipeError

if TYPE_CHECKING:
    from torch import nn

    from easearch.graph import Graph
    from easearch.moves import Candidate
    from easearch.recipe import Recipe

RECIPE = "recipe.yaml"
TOP = 20
GROUPS = ("channel group", "width", "best", "best quarter", "stable")
MOVES = ("channel group", "channel", "gain", "move")
LAYERS = ("behind", "gain", "layer")
UNTRAINED = (
    "The network is the recipe's seed, untrained: gains will be others once it has learned "
    "something."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A network that was scored, and what came of it."""

    what: str
    trained: bool
    recipe: Recipe
    graph: Graph
    found: list[Candidate]
    seconds: float

    def says(self, name: str, otherwise: Any = None) -> Any:
        """What the scoring says of itself, where it does."""
        return getattr(self.found, name, otherwise)


def score(
    run: Annotated[
        Path, typer.Argument(help="A run's folder, or a recipe: its seed.", show_default=False)
    ],
    criterion: Annotated[
        str | None, typer.Option(help="What scores; by default as the recipe says.")
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Images to score on; by default as the recipe says."),
    ] = None,
    changes: Set = None,
    top: Annotated[int, typer.Option(help="Candidates to print.", callback=check_count)] = TOP,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Score a network: what widening each channel group would be worth, and how sure that is."""
    values: dict[str, Any] = {}
    if criterion is not None:  # before `--set`, which may say its options
        values["growth.criterion"] = criterion
    if images is not None:
        values["growth.images"] = int(images) if re.fullmatch("[0-9]{1,12}", images) else images
    values |= overrides(changes)
    with working():
        outcome = _scored(run, values, factory)
    if as_json:
        print_json(_document(outcome))
    else:
        _print(outcome, top)


def _scored(path: Path, values: Mapping[str, Any], factory: str | None) -> Outcome:
    import torch
    import torch.nn.functional as F

    from easearch.feed import DataFeed, data_of
    from easearch.growth.checked import trace
    from easearch.preflight.ready import seeded, training_device
    from easearch.recipe import built_criterion
    from easearch.scoring import AdaptiveSampleSize

    recipe = _recipe_of(path, values)
    growth, device = recipe.growth, training_device(recipe)
    rule = built_criterion(growth)
    if growth.images == "auto":
        rule = AdaptiveSampleSize(of=rule)
    with seeded(recipe):
        data = data_of(recipe)
        model = _network(path, recipe, factory, data).to(device)
        graph = trace(model, torch.zeros(1, *data.shape, device=device))
        batches = DataFeed(dataset=data, recipe=recipe, device=device).scoring(0)
        began = time.perf_counter()
        found = rule.score(model, graph, batches, F.cross_entropy)
    return Outcome(
        what=str(path),
        trained=path.is_dir(),
        recipe=recipe,
        graph=graph,
        found=found,
        seconds=time.perf_counter() - began,
    )


def _recipe_of(path: Path, values: Mapping[str, Any]) -> Recipe:
    """The recipe that is named, of the run, or of the run of which the folder is a stage."""
    from easearch.recipe import Recipe

    if path.is_dir():
        there = [folder / RECIPE for folder in (path, path.parent) if (folder / RECIPE).is_file()]
        if not there:
            raise FileFormatError(
                f"expected {RECIPE} in {path}, which says what to score on, found none; give a "
                "folder that `easearch grow` has written"
            )
        return Recipe.load(there[0], values)
    if not path.is_file():
        raise EasearchError(
            f"expected a run's folder or a recipe (a YAML file), got '{path}'; a network alone has "
            "no data to be scored on: name it in a recipe"
        )
    return Recipe.load(path, values)


def _network(path: Path, recipe: Recipe, factory: str | None, data: Any) -> nn.Module:
    from easearch.growth.checkpoint import load, read_architecture
    from easearch.seed import own_factory, seed_of

    if not path.is_dir():
        if factory is not None:
            raise RecipeError(
                "--factory makes the network of a run's folder; a recipe names its own"
            )
        return seed_of(recipe, own_factory(recipe), data).build().eval()
    wanted = read_architecture(path).input
    if wanted != tuple(data.shape):
        raise RecipeError(
            f"expected data of shape {wanted}, on which the network in {path} learned, "
            f"got {tuple(data.shape)}"
        )
    return load(path, factory=factory)


# --- what is said


def _document(outcome: Outcome) -> dict[str, Any]:
    from easearch.cli.worth import described, groups_of
    from easearch.recipe import name_and_options

    growth, says = outcome.recipe.growth, outcome.says
    name, options = name_and_options(growth.criterion)
    return {
        "scored": outcome.what,
        "trained": outcome.trained,
        "data": outcome.recipe.data.name,
        "criterion": name,
        "options": options,
        "asked_images": growth.images,
        "images": says("images", 0),
        "held_out": says("held_out"),
        "rank_correlation": says("rank_correlation"),
        "stable": says("stable"),
        "doubt": says("doubt"),
        "seconds": outcome.seconds,
        "groups": [asdict(row) for row in groups_of(outcome.found, outcome.graph)],
        "candidates": [described(one) for one in outcome.found],
        "layers": [described(one) for one in says("layers", ())],
        "nothing": says("nothing", {}),
        "frozen": {g.name: g.frozen for g in outcome.graph.channel_groups if g.frozen is not None},
    }


def _print(outcome: Outcome, top: int) -> None:
    from easearch.cli.worth import channel, gain_of, groups_of, kind, place

    for text in _sentences(outcome):
        print_prose(text)
    print()
    rows = groups_of(outcome.found, outcome.graph)
    print_table([GROUPS, *(row.cells() for row in rows)])
    for row in rows:
        if row.why:
            print_prose(f"{row.name} is worth nothing: {row.why}.")
    print()
    shown = [one for one in outcome.found if one.gain > 0][:top]
    if shown:
        print_prose(f"The best {len(shown)} of {len(outcome.found):,} moves:")
        print_table(
            [MOVES, *((place(c.move), channel(c.move), gain_of(c), kind(c.move)) for c in shown)]
        )
    else:
        print_prose(f"None of {len(outcome.found):,} moves gains anything.")
    layers = outcome.says("layers", ())[:top]
    if layers:
        print()
        print_prose("New layers, with a budget of their own:")
        print_table([LAYERS, *((place(c.move), gain_of(c), kind(c.move)) for c in layers)])


def _sentences(outcome: Outcome) -> list[str]:
    from easearch.recipe import name_and_options
    from easearch.reporting.digits import duration, trust

    recipe, says = outcome.recipe, outcome.says
    name, options = name_and_options(recipe.growth.criterion)
    told = ", ".join(f"{key} {value}" for key, value in options.items())
    images = says("images", 0)
    seen = f"on {images:,} training images of {recipe.data.name}" if images else "without images"
    found = [
        f"{outcome.what}: scored by {name}{f' ({told})' if told else ''} {seen}, "
        f"in {duration(outcome.seconds)}."
    ]
    if not outcome.trained:
        found.append(UNTRAINED)
    trusted = trust(says("held_out"), says("rank_correlation"))
    if trusted is not None:
        found.append(f"{trusted[0].upper()}{trusted[1:]}.")
    if says("doubt") is not None:
        found.append(f"Warning: {says('doubt')}.")
    frozen = sum(group.frozen is not None for group in outcome.graph.channel_groups)
    if frozen:
        count = "1 channel group is" if frozen == 1 else f"{frozen} channel groups are"
        found.append(f"{count} frozen: `easearch check` says why.")
    found.append(
        "Gains are in millinats. Stable: channels of which no split that was tried lowers the loss."
    )
    return found

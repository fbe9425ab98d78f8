"""How long the parts of a growth round take on the quickstart's networks.

    python reports/quickstart/timing.py [--run runs/quickstart-1] [--recipe recipes/quickstart.yaml]

For the seed (and for the grown network of a run, if one is given): a pass of training over 1,024
images, scoring all channels on them (claimed in seconds and in training passes), selection under
the recipe's limits, and surgery of the chosen plan. Medians of interleaved rounds, wall-clock, one
thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import easearch as ea
import easearch.data
from easearch.feed import DataFeed
from easearch.growth.training import Training, train_epoch
from easearch.models import build
from easearch.recipe import Recipe
from easearch.record import peak_memory_mb


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall-clock of one call, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def rounds(model: torch.nn.Module, recipe: Recipe, data: Any, number: int) -> dict[str, float]:
    """Median seconds of each part."""
    feed = DataFeed(dataset=data, recipe=recipe, device="cpu")
    graph = ea.trace(model, torch.zeros(1, *data.shape))
    budget = ea.Budget(dict(recipe.budget.limits), recipe.budget.device)
    step = budget.step()
    optimizer = Training(epochs=1, rate=1e-9).optimizer(model)
    taken: dict[str, list[float]] = {}
    for _ in range(number):
        for part, spent in one_round(model, optimizer, feed, graph, budget, step).items():
            taken.setdefault(part, []).append(spent)
    return {name: statistics.median(values) for name, values in taken.items()}


def one_round(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    feed: DataFeed,
    graph: ea.Graph,
    budget: ea.Budget,
    step: int,
) -> dict[str, float]:
    """Seconds of each part, once."""
    images, how = feed.scoring(0), ea.Splitting(step=feed.recipe.growth.step)
    training, _ = seconds(
        lambda: train_epoch(model, optimizer, images, lambda n: 1e-9, 0.0, lambda n, loss: None)
    )
    scoring, candidates = seconds(lambda: ea.score(model, graph, images, how))
    selection, plan = seconds(lambda: ea.select(candidates, graph, budget, width_step=step))
    surgery, _ = seconds(lambda: ea.apply(model, graph, plan.moves, optimizer=optimizer))
    return {
        "training": training,
        "scoring": scoring,
        "selection": selection,
        "surgery": surgery,
    }


def main() -> None:
    """Print a line a network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.yaml"))
    parser.add_argument("--run", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe.load(arguments.recipe)
    data = easearch.data.load(recipe.data.name, validation=recipe.data.validation, seed=recipe.seed)
    seed = build(
        recipe.model.name,
        channels=data.shape[0],
        classes=data.num_classes,
        **recipe.model.arguments,
    )
    subjects = {"seed": seed}
    if arguments.run is not None:
        subjects["grown"] = ea.load(arguments.run)
    images = min(recipe.growth.images, len(data.train) // 2)
    print(f"{images} images, medians of {arguments.rounds} rounds")
    for name, model in subjects.items():
        model.to(memory_format=torch.channels_last)
        found = rounds(model, recipe, data, arguments.rounds)
        passes = found["scoring"] / found["training"]
        told = ", ".join(f"{part} {value:.3f} s" for part, value in found.items())
        print(f"{name}: {told}; scoring is {passes:.1f} training passes")
    print(f"peak memory {peak_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()

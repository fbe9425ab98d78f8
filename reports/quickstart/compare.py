"""What the quickstart's growth is worth: against its seed, and against uniform widths from scratch.

    python reports/quickstart/compare.py --seeds 3 --out reports/quickstart

Arms, for each seed of the recipe, all on the same data order and validation split, all certified on
the exported file:

- `grown`: the recipe, as `easearch grow` runs it.
- `seed`: the ungrown seed, trained for as many epochs with one cosine (it costs less compute).
- `uniform`: the seed's widths times one factor, the largest whose exported file keeps the same
  limit, trained from scratch with one cosine for as many epochs as the grown run's *total* compute
  pays for (scoring and search charged).

The test part is looked at once an arm and seed, at the end. Writes `results.json` (the rows that
the report of a run shows as evidence) and prints the same as a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

import easearch as ea
import easearch.data
from easearch.budget import Latency, this_host
from easearch.feed import DataFeed
from easearch.growth.compute import Compute
from easearch.growth.training import Training, evaluate, train_epoch
from easearch.models import build
from easearch.recipe import Recipe
from easearch.roles import Bound

Build = Callable[[], nn.Module]
COMMAND = "python reports/quickstart/compare.py"


def trained(make: Build, recipe: Recipe, feed: DataFeed, epochs: float) -> nn.Module:
    """A network from scratch: warm-up, then one cosine over all of its epochs (a fraction rounds
    down).
    """
    torch.manual_seed(recipe.seed)
    model = make().to(feed.device, memory_format=torch.channels_last)
    part = recipe.training
    training = Training(
        epochs=max(int(epochs), 1),
        rate=part.rate,
        momentum=part.momentum,
        weight_decay=part.weight_decay,
        label_smoothing=part.label_smoothing,
        warmup=part.warmup,
    )
    optimizer = training.optimizer(model)
    for epoch in range(training.epochs):

        def rate(number: int, epoch: int = epoch) -> float:
            return training.rate_at(epoch + (number + 0.5) / feed.steps, training.warmup)

        train_epoch(
            model,
            optimizer,
            feed.training(epoch),
            rate,
            training.label_smoothing,
            lambda number, loss: None,
        )
    return model


def uniform(recipe: Recipe, data: Any, bound: Bound) -> tuple[Build, float]:
    """The widest uniform network that keeps the limit, measured as a whole; and its factor."""
    assert isinstance(bound.meter, Latency)
    seed = recipe.model.arguments
    tried: set[tuple[tuple[str, int], ...]] = set()
    best = 1.0
    for percent in range(100, 601, 2):
        factor = percent / 100
        graph = ea.trace(
            make_seed(recipe, data, seed.get("width", 1.0) * factor)(), sample_of(data)
        )
        widths = tuple(graph.widths.items())
        if widths in tried:
            continue
        tried.add(widths)
        measured, _ = bound.meter.whole(graph)
        if measured <= bound.limit:
            best = factor
        elif measured > 1.3 * bound.limit:
            break
    return make_seed(recipe, data, seed.get("width", 1.0) * best), best


def make_seed(recipe: Recipe, data: Any, width: float) -> Build:
    """A function that builds the recipe's seed at this width."""
    arguments = {
        "channels": data.shape[0],
        "classes": data.num_classes,
        **recipe.model.arguments,
        "width": width,
    }
    return lambda: build(recipe.model.name, **arguments)


def sample_of(data: Any) -> torch.Tensor:
    """One input of zeros."""
    return torch.zeros(1, *data.shape)


def judged(model: nn.Module, data: Any, feed: DataFeed, bounds: Sequence[Bound]) -> dict[str, Any]:
    """Accuracy on the test part, and what the exported file costs."""
    graph = ea.trace(model, sample_of(data).to(feed.device))
    with tempfile.TemporaryDirectory() as folder:
        file = ea.export(model, sample_of(data), Path(folder) / "model.onnx").path
        certificate = ea.certify(file, graph, bounds, sample_of(data).shape)
    return {
        "accuracy": evaluate(model, feed.test()).accuracy,
        "latency_ms": certificate.proofs[0].measured,
        "meets": certificate.meets,
        "macs": Compute.macs_of(graph),
        "params": sum(p.numel() for p in model.parameters()),
    }


def one_seed(path: Path, seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """All arms for one seed of the recipe."""
    recipe = Recipe.load(path, {"seed": seed})
    started = time.perf_counter()
    run = ea.grow(recipe, folder / f"grown-{seed}")
    proof = run.certificate.proofs[0]
    arms = {
        "grown": {
            "accuracy": run.summary["test"]["accuracy"],
            "latency_ms": proof.measured,
            "meets": run.certificate.meets,
            "macs": run.summary["macs"],
            "params": run.summary["params"],
            "compute": run.summary["compute"]["total"],
            "seconds": time.perf_counter() - started,
            "peak_memory_mb": run.summary["peak_memory_mb"],
        }
    }
    data = easearch.data.load(recipe.data.name, validation=recipe.data.validation, seed=seed)
    feed = DataFeed(dataset=data, recipe=recipe, device="cpu")
    bounds = ea.Budget(dict(recipe.budget.limits), recipe.budget.device).bounds(
        ea.trace(
            make_seed(recipe, data, recipe.model.arguments.get("width", 1.0))(), sample_of(data)
        )
    )
    bounds = tuple(replace(bound, limit=proof.limit) for bound in bounds[:1])
    make, factor = uniform(recipe, data, bounds[0])
    step = 3 * Compute.macs_of(ea.trace(make(), sample_of(data))) * feed.samples
    epochs = {
        "seed": float(recipe.training.epochs),
        "uniform": arms["grown"]["compute"] / step,
    }
    makes = {
        "seed": make_seed(recipe, data, recipe.model.arguments.get("width", 1.0)),
        "uniform": make,
    }
    for arm, build_arm in makes.items():
        started = time.perf_counter()
        model = trained(build_arm, recipe, feed, epochs[arm])
        found = judged(model, data, feed, bounds)
        found["compute"] = 3.0 * found["macs"] * feed.samples * max(int(epochs[arm]), 1)
        found["epochs"] = max(int(epochs[arm]), 1)
        found["seconds"] = time.perf_counter() - started
        arms[arm] = found
    arms["uniform"]["factor"] = factor
    return arms


def rows(results: Sequence[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Mean and spread an arm, and the paired difference to `grown`."""
    table = []
    for arm in results[0]:
        accuracy = [result[arm]["accuracy"] for result in results]
        behind = [r[arm]["accuracy"] - r["grown"]["accuracy"] for r in results]
        table.append(
            {
                "arm": arm,
                "accuracy_mean": statistics.mean(accuracy),
                "accuracy_std": statistics.stdev(accuracy) if len(accuracy) > 1 else None,
                "against_grown_points": round(100 * statistics.mean(behind), 2),
                "seeds": len(accuracy),
                "compute": statistics.mean(r[arm]["compute"] for r in results),
                "latency_ms": statistics.mean(r[arm]["latency_ms"] for r in results),
                "macs": round(statistics.mean(r[arm]["macs"] for r in results)),
                "params": round(statistics.mean(r[arm]["params"] for r in results)),
                "meets": all(r[arm]["meets"] for r in results),
            }
        )
    return table


def reading(table: Sequence[dict[str, Any]]) -> str:
    """What the numbers say, whoever wins."""
    by_arm = {row["arm"]: row for row in table}
    told = []
    for arm, what in (
        ("seed", "its own seed (as many epochs)"),
        ("uniform", "uniform widths from scratch (equal compute)"),
    ):
        lead = -by_arm[arm]["against_grown_points"]
        told.append(f"{'ahead of' if lead > 0 else 'behind'} {what} by {abs(lead):.1f} points")
    return f"Grown is {told[0]} and {told[1]}; paired means of {table[0]['seeds']} seeds."


def main() -> None:
    """Run all arms and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.yaml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("reports/quickstart"))
    arguments = parser.parse_args()
    # Of the code that runs: what is committed meanwhile is not in it.
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            results.append(one_seed(arguments.recipe, seed, Path(folder)))
            print(json.dumps({"seed": seed, **results[-1]}), flush=True)
    table = rows(results)
    host = this_host().to_json()
    content = {
        "title": "The quickstart against its rivals, at one latency limit",
        "command": f"{COMMAND} --seeds {arguments.seeds}",
        "date": date.today().isoformat(),
        "commit": commit,
        "hardware": f"{host['cpu']}, 1 thread",
        "rows": table,
        "reading": reading(table),
        "runs": results,
    }
    (arguments.out / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    for row in table:
        print(row)
    print(content["reading"])


if __name__ == "__main__":
    main()

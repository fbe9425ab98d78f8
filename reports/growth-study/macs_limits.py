"""What limits in measured milliseconds choose that limits in multiply-adds would not.

    python reports/growth-study/macs_limits.py [--recipe FILE] [--limits 2x 3x 4x]

For each limit, the widths that growing is expected to end with within so many milliseconds, and
within as many multiply-adds as those take, on the same grid of widths; both measured on this host.
Nothing is trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import easearch as ea
from easearch.budget import Latency, find_meter
from easearch.graph import Graph
from easearch.models import build
from easearch.recipe import Recipe


def expected(recipe: Path, seed: Graph, limits: dict[str, str | float]) -> Graph:
    """The seed at the widths that a plan of the recipe expects within these limits."""
    told = ea.plan(Recipe.load(recipe, {"budget.limits": limits}))
    return seed.with_widths({one.name: one.expected or one.seed for one in told.groups})


def main() -> None:
    """Print a line a limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.yaml"))
    parser.add_argument("--shape", type=int, nargs=3, default=(1, 28, 28), help="C H W")
    parser.add_argument("--limits", nargs="+", default=["2x", "3x", "4x"])
    said = parser.parse_args()
    model = Recipe.load(said.recipe).model
    made = build(model.name, **{"channels": said.shape[0], "classes": 10, **model.arguments})
    seed = ea.trace(made, torch.zeros(1, *said.shape))
    latency, macs = Latency(), find_meter("macs")
    print("limit  by milliseconds            by as many multiply-adds   difference")
    for limit in said.limits:
        timed = expected(said.recipe, seed, {"latency": limit})
        counted = expected(said.recipe, seed, {"macs": macs.cost(timed).total})
        (first, _), (second, _) = latency.whole(timed), latency.whole(counted)
        sizes = [f"{macs.cost(one).total / 1e6:.2f} MMACs" for one in (timed, counted)]
        print(
            f"{limit:5s}  {sizes[0]}, {first:.4f} ms      {sizes[1]}, {second:.4f} ms      "
            f"{100 * (second / first - 1):+.1f} %"
        )


if __name__ == "__main__":
    main()

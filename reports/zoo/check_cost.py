"""What the check of a graph costs beside tracing, for torchvision's classification networks.

    python reports/zoo/check_cost.py [--models resnet18 mobilenet_v2] [--rounds 3]

For each network, side by side in one process: seconds to trace without the check, seconds of the
check alone (the minimum of the rounds of each), their ratio, and which groups the check froze.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from zoo import made, timed

from easearch.data._torchvision import torchvision
from easearch.growth.checked import checked
from easearch.tracing import trace


def main() -> None:
    """Print a row a network, and the ratios' median and largest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    models = torchvision("models")
    ratios = []
    print("| network | trace s | check s | ratio | frozen by the check |\n|---|---|---|---|---|")
    for name in options.models or models.list_models(module=models):
        torch.manual_seed(0)
        model, size = made(name)
        images = torch.randn(2, *size)
        graph, traced = timed(lambda m=model, x=images: trace(m, x), options.rounds)
        found, spent = timed(lambda m=model, g=graph, x=images: checked(m, g, x), options.rounds)
        ratios.append(spent / traced)
        more = len(graph.growable) - len(found.growable)
        print(f"| {name} | {traced:.2f} | {spent:.2f} | {ratios[-1]:.2f} | {more} |", flush=True)
    print(f"\nratio: median {statistics.median(ratios):.2f}, largest {max(ratios):.2f}.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

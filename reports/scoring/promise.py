"""Does a candidate keep its promise? Every split alone, its gain against the loss measured again.

    EASEARCH_DATA=... python reports/scoring/promise.py [--images 1024] [--channels 60]

Gains are those of the very images on which the loss is measured (no cross-fitting): what is tested
is the mathematics, not the sampling. Double precision. The published scope takes `u` right behind
the layer's own activation.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from scipy.stats import spearmanr
from subjects import KINKED, SMOOTH, doubled, heading, loss_of, pictures, trained
from torch import Tensor, nn

import easearch as ea

SMALL_STEP, TAKEN = 0.02, 0.05
Data = list[tuple[Tensor, Tensor]]


def compared(
    model: nn.Module, data: Data, how: ea.Splitting, channels: int
) -> tuple[list[float], list[float]]:
    """Gains, and decreases of the loss that each split alone brings."""
    graph = ea.trace(model, data[0][0][:2])
    found = [c for c in ea.score(model, graph, data, how) if c.gain > 0 or how.scope == "layer"]
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    chosen = [found[int(k)] for k in order[:channels]]
    before = loss_of(model, data)
    real = [before - loss_of(ea.apply(model, graph, [c.move]), data) for c in chosen]
    return [c.gain for c in chosen], real


def line(gains: list[float], real: list[float]) -> tuple[str, str, str, str]:
    """Median error, rank correlation, share that raise the loss, splits compared."""
    errors = [abs(r / g - 1) for g, r in zip(gains, real, strict=True) if g > 0]
    rank = spearmanr(gains, real).statistic
    raised = sum(r < 0 for r in real) / len(real)
    return (
        f"{100 * statistics.median(errors):.1f} %" if errors else "-",
        f"{rank:.4f}",
        f"{100 * raised:.0f} %",
        str(len(gains)),
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--channels", type=int, default=60)
    parser.add_argument("--training", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--how", default="", help="criteria whose title has this in it")
    parser.add_argument("--steps", default="", help="in place of the table's own")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = doubled(pictures(given.images, size=128))
    print("\n".join(heading("Gain against the real decrease of the loss")))
    print("| network | criterion | step | median error | rank corr. | raise the loss | splits |")
    print("|---|---|---|---|---|---|---|")
    for name, make in {**SMOOTH, **KINKED}.items():
        if given.only not in name:
            continue
        model = trained(make, given.training, given.epochs).double()
        steps = [SMALL_STEP] if name in SMOOTH else [SMALL_STEP, TAKEN]
        steps = [float(step) for step in given.steps.split(",") if step] or steps
        for step in steps:
            for title, options in CRITERIA.items():
                if given.how not in title:
                    continue
                how = ea.Splitting(step=step, crossfit=False, **options)
                cells = line(*compared(model, data, how, given.channels))
                print(f"| {name} | {title} | {step} | {' | '.join(cells)} |", flush=True)


CRITERIA: dict[str, dict[str, object]] = {
    "unit": {},
    "unit, signed c=3": {"c": 3.0},
    "unit, first order in the rest": {"fisher": False},
    "layer (published)": {"scope": "layer", "fisher": False},
}

if __name__ == "__main__":
    main()

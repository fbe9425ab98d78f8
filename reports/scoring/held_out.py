"""How many images a scoring needs: what unseen ones show of the claimed gain, and whether disjoint
sets of images rank the channels alike.

    EASEARCH_DATA=... python reports/scoring/held_out.py [--net "quickstart seed"] [--most 40000]

A scoring on N images takes directions from one half and gains from the other. `held out / claimed`
and `halves` are what it says of itself (`Scores.held_out`, `.rank_correlation`); `two scorings` is
the Spearman correlation of the gains of two whole scorings on N images each that share none, where
there are so many. Cost is CPU time, also in training passes over the same N images.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from subjects import WIDE, heading, pictures, trained
from torch import Tensor, nn

import easearch as ea
from easearch.scoring import Scores
from easearch.scoring.samples.evidence import rank_correlation

Data = list[tuple[Tensor, Tensor]]
METHODS: dict[str, tuple[ea.Splitting, float]] = {
    "unit": (ea.Splitting(), 1.0),
    "unit, signed c=3": (ea.Splitting(c=3.0), 1.0),
    "rows": (ea.Splitting(scope="rows"), 1.0),
    "layer (published scope)": (ea.Splitting(scope="layer"), 1.0),
    "FAST (published scope and solver)": (ea.Splitting(scope="layer", solver="rayleigh"), 0.25),
}
"""With the share of `--most` that is as far as it goes: what costs more would not end."""


def by_channel(found: Scores) -> dict[tuple[str, int], float]:
    """Every channel's best gain."""
    best: dict[tuple[str, int], float] = {}
    for candidate in found:
        place = candidate.move.group, candidate.move.channel  # type: ignore[union-attr]
        best[place] = max(best.get(place, 0.0), candidate.gain)
    return best


def agreement(one: Scores, other: Scores) -> float:
    """Spearman's, of two scorings."""
    a, b = by_channel(one), by_channel(other)
    places = sorted(a.keys() & b.keys())
    found = rank_correlation(
        torch.tensor([a[p] for p in places]), torch.tensor([b[p] for p in places])
    )
    return float("nan") if found is None else found


def training_pass(model: nn.Module, data: Data) -> float:
    """CPU seconds an image: forward, backward and step in batches of 128."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        best = min(best, time.process_time() - began)
    return best / sum(len(y) for _, y in data)


def scored(
    model: nn.Module, graph: ea.Graph, data: Data, how: ea.Splitting
) -> tuple[Scores, float]:
    """A scoring and its CPU seconds."""
    began = time.process_time()
    found = ea.score(model, graph, data, how)
    assert isinstance(found, Scores)
    return found, time.process_time() - began


def main() -> None:
    """Print a table a method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="MobileNetV1 32..256", choices=list(WIDE))
    parser.add_argument("--most", type=int, default=40000)
    parser.add_argument("--least", type=int, default=512)
    parser.add_argument("--training", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = trained(WIDE[given.net], given.training, given.epochs)
    model = model.to(memory_format=torch.channels_last)
    graph = ea.trace(model, pictures(2)[0][0])
    one_pass = training_pass(trained(WIDE[given.net], 64, 1), pictures(1024, size=128))
    everything = pictures(10**9)
    count = sum(len(y) for _, y in everything)
    print("\n".join(heading(f"How many images: {given.net}, {given.epochs} epochs trained")))
    print(f"{count} training images; a training pass costs {1e3 * one_pass:.3f} ms an image.\n")
    print("| criterion | images | held out / claimed | halves | two scorings | passes | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for title, (how, share) in METHODS.items():
        if given.only not in title:
            continue
        images = given.least
        while images <= min(share * given.most, count):
            blocks = images // 32
            found, seconds = scored(model, graph, everything[:blocks], how)
            told = "-"
            if 2 * images <= count:
                other, _ = scored(model, graph, everything[-blocks - 1 : -1], how)
                told = f"{agreement(found, other):.2f}"
            print(
                f"| {title} | {images} | {found.held_out or 0.0:.2f} | "
                f"{found.rank_correlation or 0.0:.2f} | {told} | "
                f"{seconds / one_pass / images:.1f} | {seconds:.1f} |",
                flush=True,
            )
            images = _next(images, given.most)


def _next(images: int, most: int) -> int:
    """Doubled; the last stop is the most."""
    return most if images < most < 2 * images else 2 * images


if __name__ == "__main__":
    main()

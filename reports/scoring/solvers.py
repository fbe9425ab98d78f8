"""How exact the smallest eigenvalues are, and at what cost: the published descent beside Lanczos.

    EASEARCH_DATA=... python reports/scoring/solvers.py [--images 1024,8192]

All channels of a network, published scope, against the whole matrix on the same images. The descent
takes a step a batch of 64, as published: on more images it takes more steps. Cost is CPU time over
a training pass on the same images.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch
import torch.nn.functional as F
from held_out import training_pass
from subjects import WIDE, heading, pictures, trained
from torch import Tensor, nn

import easearch as ea
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.passes import Part, Passes
from easearch.scoring.spectrum.directions import descend, lockstep
from easearch.scoring.spectrum.eigen import Ends
from easearch.scoring.units.unit import Unit

Data = list[tuple[Tensor, Tensor]]


def solved(model: nn.Module, data: Data, scope: str, solver: str) -> tuple[list[Ends], float]:
    """Both ends of every channel of every group, and CPU seconds."""
    graph = ea.trace(model, data[0][0][:1])
    began = time.process_time()
    units = [Unit(model, graph, group, scope) for group in graph.growable]  # type: ignore[arg-type]
    parts = [Part(unit, number) for number, unit in enumerate(units)]
    values = {edge for unit in units for edge in unit.entrances}
    capturer = Capturer(model, values, {edge for unit in units for edge in unit.exits})
    passes = Passes(partial(capturer.capture, loss=F.cross_entropy), data, 4e9)
    generator = torch.Generator().manual_seed(0)
    if solver == "rayleigh":
        found = descend(parts, passes, False, generator)
    else:
        found = lockstep(parts, passes, solver, generator)
    return found, time.process_time() - began


def line(found: list[Ends], exact: list[Ends]) -> str:
    """Error of the smallest eigenvalue over its own size, and how often its sign is another."""
    low = torch.cat([ends.low.double() for ends in found])
    true = torch.cat([ends.low.double() for ends in exact])
    wrong = ((low - true) / true).abs()
    signs = (low.sign() != true.sign()).double().mean()
    median, p95 = 100 * wrong.median(), 100 * wrong.quantile(0.95)
    return f"{median:.2f} % | {p95:.1f} % | {100 * signs:.0f} %"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="quickstart seed", choices=list(WIDE))
    parser.add_argument("--images", default="1024,8192,32768")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = trained(WIDE[given.net], 8192, given.epochs).to(memory_format=torch.channels_last)
    one_pass = training_pass(trained(WIDE[given.net], 64, 1), pictures(1024, size=128))
    print("\n".join(heading(f"The smallest eigenvalue: {given.net}")))
    print("| scope | solver | images | steps | passes | median error | p95 | wrong sign |")
    print("|---|---|---|---|---|---|---|---|")
    for images in [int(number) for number in given.images.split(",")]:
        small, published = pictures(images), pictures(images, size=64)
        exact, _ = solved(model, small, "layer", "exact")
        steps = {"rayleigh": 10 * len(published)}
        for solver, data in (("lanczos", small), ("rayleigh", published)):
            found, seconds = solved(model, data, "layer", solver)
            print(
                f"| layer | {solver} | {images} | {steps.get(solver, '-')} | "
                f"{seconds / one_pass / images:.1f} | {line(found, exact)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

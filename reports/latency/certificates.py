"""Do certificates hold? Twenty growths with random limits, each proven on its exported file.

Small networks of two seeds on the embedded pictures, limits on measured latency (sometimes with one
on parameters or memory beside it) drawn between 1.2 and 4 times the seed's own. Training is cut
short: this asks whether limits are met, not how good the networks are.
Run: `python reports/latency/certificates.py [--runs 20] [--precision fp32]` (half a minute each).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import easearch as ea
from easearch.budget import this_host
from easearch.errors import EasearchError
from easearch.recipe import Recipe

SEEDS: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"layout": [[16, 1, 1], [32, 2, 2], [48, 2, 2]], "stem_channels": 16},
    "mobilenet_v2": {"layout": [[16, 1, 1], [24, 2, 2]], "stem_channels": 16, "expansion": 3},
}
BESIDE = ("params", "memory", None, None)


def recipe(number: int, precision: str) -> Recipe:
    """The number-th growth."""
    draw = np.random.default_rng(number)
    name = list(SEEDS)[number % 2]
    limits = {"latency": f"{np.exp(draw.uniform(np.log(1.2), np.log(4))):.3f}x"}
    beside = BESIDE[draw.integers(len(BESIDE))]
    if beside is not None:
        limits[beside] = f"{np.exp(draw.uniform(np.log(1.5), np.log(8))):.3f}x"
    return Recipe.model_validate(
        {
            "name": f"certificate-{number}",
            "seed": number,
            "data": {"name": "fashion-mnist-mini", "validation": 0.8},
            "model": {"name": name, "arguments": SEEDS[name]},
            "budget": {"limits": limits, "precision": precision},
            "growth": {"stages": [0.5, 1.0], "at": [0.25, 0.5], "images": 256},
            "training": {"epochs": 4, "batch_size": 64},
            "threads": 1,
        }
    )


def main() -> None:
    """A row a growth."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    told = parser.parse_args()
    say, held = sys.stdout.write, 0
    host = this_host()
    say(f"{host.cpu}, {host.runtime}, {told.precision}\n")
    say("growth | limit, predicted / limit, measured / limit, noise | repairs | seconds\n")
    errors = []
    for number in range(told.runs):
        start = time.perf_counter()
        chosen = recipe(number, told.precision)
        with tempfile.TemporaryDirectory() as folder:
            try:
                run = ea.grow(chosen, out=Path(folder) / "run")
            except EasearchError as error:
                say(f"{number:3d} FAILED: {error}\n")
                continue
        held += run.certificate.meets
        proofs = []
        for proof in run.certificate.proofs:
            measured = proof.measured if proof.measured is not None else float("nan")
            proofs.append(
                f"{proof.meter} {chosen.budget.limits[proof.meter]} "
                f"{proof.predicted / proof.limit:.3f} {measured / proof.limit:.3f} "
                f"{100 * proof.noise:.1f} %"
            )
            if proof.meter == "latency" and proof.error is not None:
                errors.append(abs(proof.error))
        repairs = sum("missed" in note or "over the limit" in note for note in run.summary["notes"])
        seconds = time.perf_counter() - start
        head = f"{number:3d} {chosen.model.name:12s}"
        say(f"{head} | {'; '.join(proofs)} | {repairs} | {seconds:.0f}\n")
        sys.stdout.flush()
    say(f"certificates that hold: {held} of {told.runs}; latency predicted to ")
    say(f"{100 * np.mean(errors):.1f} % on average, {100 * np.max(errors):.1f} % at worst\n")


if __name__ == "__main__":
    main()

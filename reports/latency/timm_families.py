"""How well are networks of other people predicted, as they come and as they are exported?

Each network of timm (or whatever list of names is given) is traced, its structure calibrated as in
any run, and its latency predicted; then it is exported and the file timed in turns with others. So
the truth is the file's, not that of our own model of it. Printed: the relative error, the stated
interval, whether the file lies inside, the A/A noise of its measurement; and, over all, the mean,
the worst and the share inside. The last part predicts each network from the calibrations of all
others alone (leave one family out), as on a device that cannot be asked.

Run: `EASEARCH_CACHE=$(mktemp -d) python reports/latency/timm_families.py` (needs `timm`; some
minutes a network); names and options may follow: `--size 96 --precision int8 mobilenetv2_050`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import easearch as ea
from easearch.budget import Latency, this_host
from easearch.budget.exported.file import OnnxFile
from easearch.budget.latency.affine import Point, fit
from easearch.budget.latency.calibration import paid, sums
from easearch.data._torchvision import torchvision
from easearch.errors import EasearchError

NAMES = (
    *("mobilenetv2_050", "mobilenetv3_small_050", "regnetx_002", "regnety_002", "resnet10t"),
    *("efficientnet_lite0", "mnasnet_small", "ghostnet_050", "semnasnet_075", "shufflenet_v2_x0_5"),
    *("convnext_atto", "repvgg_a0", "resnext26ts", "edgenext_xx_small", "tinynet_e", "lcnet_050"),
    *("fbnetc_100", "hardcorenas_a", "dla46x_c", "mobileone_s0"),
)
"""Small networks of many families; a name that this timm does not have is left out."""


def measured(name: str, size: int, precision: str, folder: Path) -> dict[str, Any]:
    """Prediction and truth of one network."""
    import timm

    model = timm.create_model(name).eval()
    sample = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    graph = ea.trace(model, sample)
    meter = Latency(precision=precision)
    cost = meter.cost(graph)
    path = folder / "model.onnx"
    how: dict[str, Any] = {}
    if precision == "int8":  # ranges do not matter: numbers of the usual size
        how = {"precision": "int8", "calibration": sample.repeat(8, 1, 1, 1), "tolerance": 1e9}
    ea.export(model, sample, path, **how)
    reading = meter.on_file(OnnxFile(path, (1, 3, size, size)))
    assert reading.value is not None and cost.interval is not None
    rows, ends = sums(graph, meter.table)
    return {
        "error": cost.total / reading.value - 1,
        "interval": cost.interval,
        "inside": abs(reading.value / cost.total - 1) <= cost.interval,
        "ms": reading.value,
        "noise": reading.noise,
        "point": Point(rows=rows, ends=ends, items=len(paid(graph)), ms=reading.value),
        "points": meter.calibration(graph).points,
    }


def told(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What holds over all of them."""
    errors = np.abs([one["error"] for one in found.values()])
    inside = np.mean([one["inside"] for one in found.values()])
    yield f"mean {100 * errors.mean():.1f} %, worst {100 * errors.max():.1f} %"
    yield f"inside the stated interval {100 * inside:.0f} % of {len(found)}"
    yield f"median noise {100 * np.median([one['noise'] for one in found.values()]):.1f} %"
    if len(found) > 2:
        apart = []
        for name, one in found.items():
            others = [p for other in found if other != name for p in found[other]["points"]]
            apart += fit(others).errors([one["point"]])
        size = 100 * np.abs(apart)
        yield f"by the other families' line: mean {size.mean():.1f} %, worst {size.max():.1f} %"


def main() -> None:
    """A row a network, then what holds over all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="of timm's networks")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    given, say = parser.parse_args(), sys.stdout.write
    torchvision("models")
    import timm

    known = set(timm.list_models())
    names = given.names or [name for name in NAMES if name in known]
    host = this_host()
    say(f"{host.cpu}, {host.runtime}, one thread, {given.precision} at {given.size}\n")
    say(f"{'network':24s} |     ms | error % | interval % | inside | noise %\n")
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                one = measured(name, given.size, given.precision, Path(folder))
            except EasearchError as error:
                say(f"{name:24s} | {str(error).splitlines()[0][:90]}\n")
                continue
        found[name] = one
        say(f"{name:24s} | {one['ms']:6.3f} | {100 * one['error']:+7.1f} | ")
        say(f"{100 * one['interval']:10.1f} | {'yes' if one['inside'] else 'NO':>6s} | ")
        say(f"{100 * one['noise']:.1f}\n")
        sys.stdout.flush()
    for line in told(found) if found else ():
        say(line + "\n")


if __name__ == "__main__":
    main()

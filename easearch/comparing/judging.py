"""What the judge finds out about the networks of an entry: certificates of their files, accuracy on
validation, and on test, which is read once for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from easearch.budget import PATIENT_S, Certificate, certify
from easearch.comparing.arm import Delivered
from easearch.comparing.files import part_folder
from easearch.comparing.guard import Guarded
from easearch.comparing.point import Point
from easearch.exporting import Exported, export
from easearch.growth.compute import Compute
from easearch.growth.training import Quality, evaluate
from easearch.preflight.ready import Ready
from easearch.roles import Bound


def certified(ready: Ready, front: Sequence[Delivered], folder: Path) -> list[Certificate]:
    """Every limit on the exported files."""
    return [
        _certificate(ready, bounds, one, part_folder(folder, number, len(front)))
        for number, (bounds, one) in enumerate(zip(ready.points, front, strict=True))
    ]


def tested(
    ready: Ready, guard: Guarded, front: Sequence[Delivered], folder: Path
) -> list[dict[str, Quality]]:
    """Every network on validation, and on test, which is asked for once; in few bits the file."""
    test, validation = guard.test(), guard.validation()
    found = []
    for number, one in enumerate(front):
        of = {"validation": evaluate(one.model, validation), "test": evaluate(one.model, test)}
        if ready.recipe.budget.precision != "fp32":
            file = part_folder(folder, number, len(front)) / "model.onnx"
            of = {**of, "test": evaluate(Exported(file), test), "test_network": of["test"]}
        found.append(of)
    return found


def part_of(
    point: Point, delivered: Delivered, certificate: Certificate, judged: Mapping[str, Quality]
) -> dict[str, Any]:
    """What is told of one network of a front."""
    return {
        **{name: asdict(quality) for name, quality in judged.items()},
        "limits": [asdict(proof) | {"meets": proof.meets} for proof in certificate.proofs],
        "meets": certificate.meets,
        "compute": {**delivered.bill, "total": delivered.spent},
        "macs": Compute.macs_of(delivered.graph),
        "params": sum(p.numel() for p in delivered.model.parameters()),
        "widths": delivered.graph.widths,
        "uniform": dict(point.uniform),
    }


def _certificate(
    ready: Ready, bounds: Sequence[Bound], delivered: Delivered, folder: Path
) -> Certificate:
    """Of one network; a busy moment may pass, as it does for a run."""
    precision, file = ready.recipe.budget.precision, folder / "model.onnx"
    quantized = precision == "int8"
    folder.mkdir(parents=True, exist_ok=True)
    export(
        delivered.model,
        ready.sample,
        file,
        precision,
        calibration=ready.feed.calibrating() if quantized else None,
        tolerance=math.inf if quantized else None,
    )
    shape = tuple(ready.sample.shape)
    found = certify(file, delivered.graph, bounds, shape, precision, pauses_s=PATIENT_S)
    found.save(folder / "certificate.json")
    return found

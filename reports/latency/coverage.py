"""How many certificates lie inside the interval that was stated for them.

    python reports/latency/coverage.py [results.json ...]

Reads the committed results of studies. A study states what the networks left out of its calibration
said; `DRIFT` is added to that since. Every study is also left out: DRIFT from the others alone.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from easearch.budget.latency.calibration import DRIFT, INSIDE

REPORTS = Path(__file__).resolve().parents[1]
COMMITTED = sorted(
    (*REPORTS.glob("growth-study/*/results.json"), REPORTS / "quickstart/results.json")
)


def proofs(found: Any) -> Iterator[dict[str, Any]]:
    """Latencies that were predicted and measured, anywhere in a document."""
    if isinstance(found, dict):
        if found.get("meter") == "latency" and found.get("measured"):
            yield found
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from proofs(one)


def inside(errors: list[tuple[float, float]], drift: float) -> float:
    """Share of (error, interval of networks left out) within the interval and a drift."""
    return mean(error <= stated + drift for error, stated in errors)


def enough(errors: list[tuple[float, float]]) -> float:
    """The least drift, in steps of 0.5 %, with which INSIDE of the errors are inside."""
    return next(step / 200 for step in range(100) if inside(errors, step / 200) >= INSIDE)


def main() -> None:
    """Print a line a study, and one of all."""
    by_study: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for path in map(Path, sys.argv[1:] or COMMITTED):
        for one in proofs(json.loads(path.read_text())):
            error = abs(one["measured"] / one["predicted"] - 1)
            by_study[path.parent.name].append((error, one["interval"] or 0.0))
    heads = ("files", "error", "p95", "stated", "+drift", "of others")
    print(f"{'study':20} {heads[0]:>5} " + " ".join(f"{head:>7}" for head in heads[1:]))
    for study, errors in by_study.items():
        others = [e for name, found in by_study.items() if name != study for e in found]
        line(study, errors, enough(others) if others else DRIFT)
    every = [e for found in by_study.values() for e in found]
    line("all", every, enough(every))


def line(name: str, errors: list[tuple[float, float]], drift: float) -> None:
    """Print mean and 95th percentile of the error, and the shares inside."""
    sizes = sorted(error for error, _ in errors)
    cells = (mean(sizes), sizes[int(0.95 * (len(sizes) - 1))], inside(errors, 0.0))
    shares = (*cells, inside(errors, DRIFT), inside(errors, drift))
    print(
        f"{name:20} {len(errors):5} " + " ".join(f"{share:7.1%}" for share in shares),
        f"({drift:.1%})",
    )


main()

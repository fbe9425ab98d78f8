"""What the report of a run shows of a comparison (`evidence` in a recipe): a row an arm, small
enough to lie in every run's folder.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from easearch.budget.store import json_text, write_atomic
from easearch.comparing.files import EVIDENCE
from easearch.comparing.judge import Row, sentence
from easearch.comparing.results import Comparison
from easearch.comparing.terms import Terms
from easearch.reporting.digits import duration, quantity

LATENCY = "latency"
"""The report has a column of its own for it, in ms."""


def write_evidence(found: Comparison) -> None:
    """Write `evidence.json`, beside the results that it is taken from."""
    write_atomic(found.path / EVIDENCE, json_text(evidence_of(found)))


def evidence_of(found: Comparison) -> dict[str, Any]:
    """As `easearch.reporting.files.Evidence` reads it."""
    terms = found.terms
    verdicts = [sentence(row, found.reference) for row in found.rows if row.claim != "reference"]
    return {
        "title": "Against its rivals, at equal compute and limit",
        "command": command(found),
        "date": terms.date,
        "commit": terms.commit,
        "hardware": f"{terms.host.get('cpu', 'unknown')}, threads: {terms.threads}",
        "rows": [_row(row, terms) for row in found.rows],
        "reading": "".join(f"{one[0].upper()}{one[1:]}. " for one in verdicts).strip(),
    }


def command(found: Comparison) -> str:
    """What makes the same comparison again, but for its folder."""
    recipe = found.terms.recipe
    seeds = sorted({seed for row in found.rows for seed in row.seeds})
    said = f"easearch compare {recipe['name']}.yaml --arms {_arms(found.rows)}"
    if seeds:
        said += f" --seeds {len(seeds)} --set seed={seeds[0]}"
    changes = {key: value for key, value in found.terms.changes.items() if key != "seed"}
    settings = (shlex.quote(f"{key}={json.dumps(value)}") for key, value in changes.items())
    return " ".join([said, *(f"--set {one}" for one in settings)])


def _arms(rows: Sequence[Row]) -> str:
    return shlex.quote(",".join(row.arm for row in rows))


def _row(row: Row, terms: Terms) -> dict[str, Any]:
    """Of a front the mean over its networks; what each costs is the comparison's to tell."""
    told: dict[str, Any] = {
        "arm": row.arm,
        "accuracy_mean": row.accuracy.mean,
        "accuracy_std": _spread(row.accuracy.values),
        "seeds": len(row.seeds),
        "compute": row.compute,
        "time": duration(row.seconds),
    }
    if not terms.front:
        for meter, cost in row.front[0].costs.items():
            unit = terms.units[meter]
            if meter == LATENCY:
                told["latency_ms"] = cost
            else:
                told[meter] = quantity(cost, unit)
    return told


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None

"""A run folder as a quickstart leaves it: a MobileNetV1 grown twice in twenty epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SEED = {
    "input_1": 1,
    "stem.conv": 8,
    "blocks.0.pointwise.conv": 16,
    "blocks.1.pointwise.conv": 24,
    "blocks.2.pointwise.conv": 24,
    "blocks.3.pointwise.conv": 32,
    "blocks.4.pointwise.conv": 32,
    "blocks.5.pointwise.conv": 48,
    "blocks.6.pointwise.conv": 48,
    "blocks.7.pointwise.conv": 48,
    "blocks.8.pointwise.conv": 64,
    "head": 10,
}
FIRST = [1, 16, 16, 32, 32, 48, 48, 64, 64, 48, 64, 10]
SECOND = [1, 16, 32, 48, 32, 64, 64, 96, 80, 64, 80, 10]
STAGES = [
    SEED,
    dict(zip(SEED, FIRST, strict=True)),
    dict(zip(SEED, SECOND, strict=True)),
]
UNITS = {"latency": "ms", "macs": "MACs", "params": "params", "memory": "bytes"}
FROZEN = {
    "input_1": "its channels are the network's input",
    "head": "its channels are the network's output",
}
SIZES = [14, 14, 7, 7, 7, 7, 4, 4, 4, 4]


def layer_costs(widths: dict[str, int]) -> dict[str, dict[str, float]]:
    """Plausible costs: exact for MACs and parameters, a rate each for latency."""
    names = list(widths)
    table: dict[str, dict[str, float]] = {meter: {} for meter in UNITS}
    for i, name in enumerate(names[1:-1]):
        before, now, area = widths[names[i]], widths[name], SIZES[i] ** 2
        if i:
            _row(table, name.replace("pointwise", "depthwise"), before * 9, before, area, 0.9)
        _row(table, name, before * now * (9 if i == 0 else 1), now, area, 9.0)
    _row(table, names[-1], widths[names[-2]] * widths[names[-1]], 10, 1, 4.0)
    return table


def _row(
    table: dict[str, dict[str, float]], name: str, weights: int, out: int, area: int, rate: float
) -> None:
    table["macs"][name] = weights * area
    table["params"][name] = weights + 2 * out
    table["memory"][name] = 4 * out * area
    table["latency"][name] = round(0.0016 + weights * area / rate / 1e6, 5)


def totals(widths: dict[str, int]) -> dict[str, float]:
    return {meter: round(sum(rows.values()), 4) for meter, rows in layer_costs(widths).items()}


LIMITS = {
    "latency": {"limit": round(totals(STAGES[2])["latency"] * 1.02, 4), "unit": "ms"},
    "params": {"limit": 60_000, "unit": "params"},
}


def epochs() -> list[dict[str, Any]]:
    rows = []
    for epoch in range(1, 21):
        stage = (epoch > 3) + (epoch > 7)
        loss = 0.31 + 1.05 / epoch**0.75 - 0.004 * epoch + 0.012 * ((epoch * 7) % 5 - 2)
        rows.append(
            {
                "stage": stage,
                "epoch": epoch,
                "rate": 0.2,
                "loss": round(loss + 0.16, 4),
                "accuracy": round(1 - loss * 0.32, 4),
                "validation_loss": round(loss + 0.03 * ((epoch * 3) % 4 - 1.5), 4),
                "validation_accuracy": round(0.985 - loss * 0.36 - 0.004 * (epoch % 3), 4),
                "costs": {m: totals(STAGES[stage])[m] for m in LIMITS},
                "limits": {m: one["limit"] for m, one in LIMITS.items()},
                "compute": 1.1e11 * epoch,
                "seconds": 9.2 * epoch,
            }
        )
    return rows


def steps() -> list[dict[str, Any]]:
    searches = [
        [(0.0, 0.7182), (0.25, 0.6611), (0.5, 0.6214), (1.0, 0.6402), (2.0, 1.1821), (4.0, 2.3145)],
        [(0.0, 0.4927), (0.25, 0.4662), (0.5, 0.4581), (1.0, 0.4633), (2.0, 0.5519), (4.0, 1.2031)],
    ]
    promised, kept = (0.1934, 0.0812), (0.0968, 0.0346)
    return [
        {
            "round": i + 1,
            "epoch": (3, 7)[i],
            "widths_before": STAGES[i],
            "widths_after": STAGES[i + 1],
            "costs_before": {m: totals(STAGES[i])[m] for m in LIMITS},
            "costs_after": {m: totals(STAGES[i + 1])[m] for m in LIMITS},
            "limits": {m: one["limit"] * (0.62, 1.0)[i] for m, one in LIMITS.items()},
            "promised": promised[i],
            "kept": kept[i],
            "factor": 0.5,
            "line_search": searches[i],
            "loss_before": searches[i][0][1],
            "loss_after": searches[i][2][1],
            "moves": (72, 136)[i],
            "solver": "milp",
            "gap": 0.0,
            "binding": "latency",
            "shadow_price": 3.1,
            "held_out": 0.71,
            "rank_correlation": 0.93,
            "layers": (["features.3.act"], [])[i],
            "images": 1024,
            "seconds": {"score": 6.1, "select": 0.9, "search": 1.4, "surgery": 0.1},
        }
        for i in range(2)
    ]


def facts() -> dict[str, Any]:
    final = totals(STAGES[2])
    return {
        "name": "quickstart",
        "easearch": "0.1.0",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "onnxruntime": "1.31.1"},
        "host": {"cpu": "Xeon 8370C", "cores": 2, "instructions": ["avx2", "avx512f"]},
        "date": "2026-11-21",
        "commit": "3f9c2d1",
        "seed": 7,
        "device": "cpu",
        "status": "budget_full",
        "status_text": "Growth ended because the budget is full.",
        "test": {"accuracy": 0.8765, "loss": 0.3512, "images": 2000},
        "validation": {
            "accuracy": epochs()[-1]["validation_accuracy"],
            "loss": epochs()[-1]["validation_loss"],
            "images": 1000,
        },
        "seed_cost": totals(SEED),
        "cost": final,
        "limits": LIMITS,
        "compute": {"training": 2.31e12, "scoring": 6.4e10, "search": 1.2e10, "total": 2.386e12},
        "seconds": {"training": 171.0, "scoring": 6.2, "certify": 12.4, "total": 204.0},
        "peak_memory_mb": 812.0,
        "params": final["params"],
        "macs": final["macs"],
        "notes": ["Widths are multiples of 16, the step that was found on this host."],
        "widths": STAGES[2],
        "frozen": FROZEN,
    }


def certificate() -> dict[str, Any]:
    final = totals(STAGES[2])
    measured = round(final["latency"] * 0.981, 4)
    return {
        "file": "model.onnx",
        "sha256": "9f2c" * 16,
        "meets": True,
        "date": "2026-11-21T10:40:12+00:00",
        "device": "host",
        "host": {
            "cpu": "Xeon 8370C",
            "threads": 1,
            "runtime": "onnxruntime 1.31.1",
            "key": "xeon-8370c-1a2b",
        },
        "versions": {"runtime": "onnxruntime 1.31.1", "onnx": "1.23.2"},
        "proofs": [
            {
                "meter": "latency",
                "unit": "ms",
                "limit": LIMITS["latency"]["limit"],
                "predicted": final["latency"],
                "measured": measured,
                "noise": 0.006,
                "note": "measured on xeon-8370c-1a2b",
                "error": final["latency"] / measured - 1,
                "meets": True,
            },
            {
                "meter": "params",
                "unit": "params",
                "limit": 60_000,
                "predicted": final["params"],
                "measured": final["params"],
                "noise": 0.0,
                "note": "",
                "error": 0.0,
                "meets": True,
            },
        ],
    }


def evidence() -> dict[str, Any]:
    rows = [
        ("uniform widths from scratch", 0.8752, 0.0031),
        ("growth, unit scope", 0.8698, 0.0038),
        ("the ungrown seed, as many epochs", 0.8594, 0.0042),
    ]
    return {
        "title": "Against its rivals, at equal compute and limit",
        "command": "easearch compare quickstart.yaml --arms grow,uniform,seed --seeds 3",
        "date": "2026-11-21",
        "commit": "3f9c2d1",
        "hardware": "2 cores of a Xeon 8370C",
        "rows": [
            {
                "arm": arm,
                "accuracy_mean": mean,
                "accuracy_std": std,
                "seeds": 3,
                "compute": 2.386e12,
                "latency_ms": 0.2871,
                "epochs_at_end": 20,
            }
            for arm, mean, std in rows
        ],
        "reading": "Uniform widths won by half a point, about the noise of one run.",
    }


RECIPE = """\
name: quickstart
seed: 7
model: {name: mobilenet_v1, width: 0.25}
budget: {latency: 2.5x, params: 60k}
training: {epochs: 20, batch_size: 128}
growth: {criterion: unit, rounds: 2}
evidence: reports/quickstart/evidence.json
"""


def write_run(folder: Path) -> Path:
    """Write the whole run into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    _json(folder / "run.json", facts())
    _json(folder / "certificate.json", certificate())
    _json(folder / "evidence.json", evidence())
    _json(
        folder / "layers.json",
        {"units": UNITS, "seed": layer_costs(SEED), "final": layer_costs(STAGES[2])},
    )
    for name, rows in (("history", epochs()), ("steps", steps())):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _json(file: Path, data: Any) -> None:
    file.write_text(json.dumps(data))

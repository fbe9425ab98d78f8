"""Terms of a comparison that never ran, for judges and pages."""

from __future__ import annotations

from typing import Any

from easearch.comparing.point import Point
from easearch.comparing.terms import Terms

UNITS = {"latency": "ms", "params": "params", "macs": "MACs"}


def terms(*limits: dict[str, float], **changes: Any) -> Terms:
    """At these limits, smallest first; four classes."""
    values: dict[str, Any] = {
        "recipe": {"name": "stripes", "seed": 0},
        "points": [
            Point(
                limits=one,
                uniform={"stem.conv": 32 + 16 * number, "head": 10},
                factor=2.25 + number,
                share=0.97,
                macs=1e6 * (number + 1),
            )
            for number, one in enumerate(limits)
        ],
        "units": {meter: UNITS[meter] for meter in limits[0]},
        "width_step": 16,
        "classes": 4,
        "compute": 1.5e9,
        "step": 2e6,
        "threads": 1,
        "date": "2026-01-02T03:04:05+00:00",
        "commit": "abc1234",
        "host": {"cpu": "a processor"},
        "versions": {"easearch": "0.1.0"},
    }
    values |= changes
    values["recipe"] = {"model": {"name": "mobilenet_v1"}, **values["recipe"]}
    return Terms(**values)

"""What a plan says beside its numbers: what it cannot foresee, and what looks wrong."""

from __future__ import annotations

from easearch.preflight.estimate import Estimate
from easearch.preflight.ready import Ready
from easearch.reporting.digits import percent

QUIET = 0.8
"""A process that computes all the time and has less of a core waits for others."""
DEAR = 0.25
"""Of the compute, above which scoring and searching take too much of it."""


def remarks(ready: Ready, takes: Estimate, minutes: float) -> list[str]:
    """Sentences, as a plan prints them."""
    return [
        *_capped(ready, takes, minutes),
        *_not_foreseen(ready, takes),
        *_dear(takes),
        *_busy(takes),
    ]


def _capped(ready: Ready, takes: Estimate, minutes: float) -> list[str]:
    """What was estimated since the time was up."""
    guessed, told = len(ready.cap.estimated), []
    why = f"the time for measuring was up ({minutes:g} min; --minutes)"
    if guessed or ready.cap.uncalibrated:
        what = [f"the times of {guessed:,} operators are estimated from others"] * bool(guessed)
        what += ["latency is a plain sum of operators"] * ready.cap.uncalibrated
        told.append(f"{' and '.join(what)}: {why}; grow measures them, its limits may differ")
    if takes.untimed:
        told.append(
            f"not timed but estimated by multiply-adds: {', '.join(takes.untimed)} of grown "
            f"networks: {why}"
        )
    return told


def _not_foreseen(ready: Ready, takes: Estimate) -> list[str]:
    """What a run decides on its way."""
    told = []
    if takes.at_most:
        told.append(
            f"scoring takes as many images as it needs, {takes.images:,} a growth at most: time, "
            "memory and compute are told for the most"
        )
    if ready.growing.layers:
        told.append(
            "new layers are not foreseen: where they come in, less of the limits is left for widths"
        )
    return told


def _dear(takes: Estimate) -> list[str]:
    aside = takes.compute["scoring"] + takes.compute["search"]
    share = aside / takes.compute["total"] if takes.compute["total"] else 0.0
    if share < DEAR:
        return []
    return [
        f"scoring and the search for a step take {percent(share, 0)} of the compute, which "
        "training then lacks: score fewer images (growth.images), try fewer steps "
        "(growth.line_search), or train longer"
    ]


def _busy(takes: Estimate) -> list[str]:
    if takes.device != "cpu" or takes.share >= QUIET:
        return []
    return [
        f"the machine was busy: the timed steps had {percent(takes.share, 0)} of a core, and took "
        "so much longer than they will on a quiet one"
    ]

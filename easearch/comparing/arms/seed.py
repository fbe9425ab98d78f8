"""The ungrown seed, trained for as long as its few multiply-adds allow."""

from __future__ import annotations

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.uniform import from_scratch


def run(contest: Setting) -> Delivered:
    """One training at the seed's widths."""
    return from_scratch(contest, contest.graph.widths)


SEED = Arm(run=run, about="the ungrown seed, trained on the same compute")
